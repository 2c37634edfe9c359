"""The checks pass if all is well, and each finds what it is for."""

import json
from dataclasses import replace

import pandas as pd
import pytest

from fer_experiments.audit.finding import Finding
from fer_experiments.report.checks.generated_checks import _describe_by_reason
from fer_experiments.report.checks.run_checks import run_checks
from fer_experiments.report.data_facts import DataFacts
from fer_experiments.report.findings import compute_findings
from tests.results import build_result, build_study, write_study

FACTS = DataFacts(
    images={"test": {"angry": 10, "happy": 10}},
    near_duplicates={"pairs": 0, "test_images": 0},
)
SCORES = {"none": dict.fromkeys(range(5), 0.7), "dcgan": dict.fromkeys(range(5), 0.8)}


@pytest.fixture
def good(tmp_path):
    record = write_study(tmp_path, SCORES, list(range(5)))
    write_audit(tmp_path)
    return record


AUDIT = {"label": "angry", "generated": 5, "synthetic": "images"}
PASSED_CHECKS = {
    name: {"status": "pass", "message": "Well.", "is_measured": True}
    for name in ("shortcut", "memorisation", "leakage", "collapse", "labels", "coverage")
}


def write_audit(folder, seed=0, **checks):
    gan = folder / f"seed_{seed}" / "gan"
    gan.mkdir(parents=True, exist_ok=True)
    audit = AUDIT | {"checks": PASSED_CHECKS | checks}
    (gan / "audit.json").write_text(json.dumps(audit))
    (gan / "health.json").write_text('{"alarms": []}')


def run_all(record, folder, facts=FACTS):
    """Return {name: check}."""
    return {check.name: check for check in run_checks(record, compute_findings(record, folder), facts, folder)}


def test_a_clean_study_passes_every_check(good, tmp_path):
    enough = {"test": {"angry": 10, "happy": 10}, "valid": {"angry": 10, "happy": 10}}
    checks = run_all(good, tmp_path, FACTS.model_copy(update={"images": enough}))
    assert checks.pop("enough images of each class").status == "warn"  # to keep the predictions small
    assert {check.status for check in checks.values()} == {"pass"}


@pytest.mark.parametrize(
    ("test", "valid", "status", "message"),
    [
        (50, 70, "pass", "Every class has 50 or more test and validation images."),
        (49, 60, "warn", "There are 49 test images of happy. A recall on fewer than 50 is known to within 14 points"),
        (10, 4, "warn", "There are 10 test images of happy and 4 validation images of happy. "),
        (70, 0, "unknown", "It is not known how many images each class has."),
    ],
)
def test_classes_with_few_images_are_named(good, tmp_path, test, valid, status, message):
    images = {"test": {"angry": 200, "happy": test}} | ({"valid": {"angry": 99, "happy": valid}} if valid else {})
    check = run_all(good, tmp_path, FACTS.model_copy(update={"images": images}))["enough images of each class"]
    assert (check.status, message in check.message) == (status, True)


@pytest.mark.parametrize(
    ("test", "valid", "status", "message"),
    [
        (10, 12, "pass", "No group lies in two parts, and every class has 10 or more test and validation groups."),
        (9, 1, "warn", "there are only 9 test groups with happy, 1 validation group with happy. A group counts as one"),
    ],
)
def test_classes_of_few_groups_are_named(good, tmp_path, test, valid, status, message):
    groups = {"test": {"angry": 20, "happy": test}, "valid": {"angry": 20, "happy": valid}}
    check = run_all(good, tmp_path, FACTS.model_copy(update={"groups": groups}))["enough groups of each class"]
    assert (check.status, message in check.message) == (status, True)


def test_a_study_without_results_has_nothing_to_check(tmp_path):
    assert run_all(build_study({"none": {}}, [0]), tmp_path) == {}


def test_every_training_without_a_result_is_listed_with_why(tmp_path):
    record = write_study(tmp_path, {"none": {0: 0.7}, "dcgan": {}}, [0, 1], {"seed 0, dcgan": "OSError: full"})
    assert record.unfinished_trainings() == [
        ("seed 0, dcgan", "OSError: full"),
        ("seed 1, none", "not run yet"),
        ("seed 1, dcgan", "not run yet"),
    ]
    check = run_all(record, tmp_path)["all trainings finished"]
    assert (check.status, check.message) == ("warn", "3 of 4 trainings did not finish; they are listed below.")


def test_alarms_of_a_gans_training_are_a_warning(good, tmp_path):
    write_audit(tmp_path, seed=1)
    alarm = {"name": "mode collapse", "message": "samples are alike"}
    (tmp_path / "seed_1" / "gan" / "health.json").write_text(json.dumps({"alarms": [alarm]}))
    check = run_all(good, tmp_path)["GAN training is healthy"]
    assert (check.status, check.message) == ("warn", "Alarms in 1 of 2 trainings. mode collapse: samples are alike")
    for health in tmp_path.glob("seed_*/gan/health.json"):
        health.unlink()
    assert run_all(good, tmp_path)["GAN training is healthy"].status == "unknown"


@pytest.mark.parametrize(("count", "status"), [(1, "warn"), (4, "warn"), (5, "pass")])
def test_few_seeds_are_a_warning(tmp_path, count, status):
    record = write_study(tmp_path, {"none": dict.fromkeys(range(count), 0.7)}, list(range(count)))
    assert run_all(record, tmp_path)["enough seeds"].status == status


def test_the_seeds_that_count_are_those_of_the_comparison(tmp_path):
    record = write_study(tmp_path, {"none": dict.fromkeys(range(6), 0.7), "dcgan": {0: 0.8}}, list(range(6)))
    check = run_all(record, tmp_path)["enough seeds"]
    assert (check.status, check.message.startswith("One seed: ")) == ("warn", True)


def test_seeds_of_one_split_say_nothing_about_another(tmp_path):
    record = write_study(tmp_path, {"none": dict.fromkeys(range(5), 0.7)}, list(range(5)))
    assert "its own subset of the images" in run_all(record, tmp_path)["enough seeds"].message
    for result in record.results:
        result.split_hash = "split"
    assert "5 seeds of one split (data.split_seed)" in run_all(record, tmp_path)["enough seeds"].message


def test_unequal_steps_and_different_splits_fail(good, tmp_path):
    good.results[-1] = build_result("dcgan", 4, 0.8, optimizer_steps=9, split_hash="another")
    checks = run_all(good, tmp_path)
    assert checks["equal cost"].status == checks["same split for all arms"].status == "fail"
    assert "between 4 and 9 optimizer steps" in checks["equal cost"].message
    assert "seed 4 saw different splits" in checks["same split for all arms"].message


def test_a_sweep_over_the_data_may_differ_in_steps_and_splits_from_ratio_to_ratio(tmp_path):
    arms = [f"{arm} [data.imbalance={ratio}]" for ratio in (2, 5) for arm in ("none", "dcgan")]
    record = write_study(tmp_path, {arm: {0: 0.7} for arm in arms}, [0])
    for result in record.results[2:]:
        result.split_hash, result.optimizer_steps = "another", 9
    checks = run_all(record, tmp_path)
    assert checks["equal cost"].status == checks["same split for all arms"].status == "pass"
    assert checks["equal cost"].message.endswith(": 4 with data.imbalance=2; 9 with data.imbalance=5.")
    record.results[3].split_hash, record.results[3].optimizer_steps = "split0", 8
    checks = run_all(record, tmp_path)
    assert checks["equal cost"].status == checks["same split for all arms"].status == "fail"
    assert "between 8 and 9 optimizer steps with data.imbalance=5." in checks["equal cost"].message


def test_a_test_image_in_training_is_found(good, tmp_path):
    path = tmp_path / "seed_3" / "none" / "training.csv"
    table = pd.read_csv(path)
    table.loc[0, "path"] = "test007"
    table.to_csv(path, index=False)
    check = run_all(good, tmp_path)["test images unseen in training"]
    assert check.status == "fail"
    assert "seed 3, none: was trained on validation or test images" in check.message


def test_an_image_that_the_split_does_not_list_is_found(good, tmp_path):
    path = tmp_path / "seed_3" / "none" / "training.csv"
    table = pd.read_csv(path)
    table.loc[0, "path"] = "elsewhere/test007"
    table.to_csv(path, index=False)
    check = run_all(good, tmp_path)["test images unseen in training"]
    assert check.status == "fail"
    assert "seed 3, none: was trained on images that split.csv does not list" in check.message


def test_a_split_with_other_test_images_than_were_measured_is_found(good, tmp_path):
    path = tmp_path / "seed_3" / "split.csv"
    table = pd.read_csv(path)
    table[table["content_hash"] != "test007"].to_csv(path, index=False)
    check = run_all(good, tmp_path)["test images unseen in training"]
    assert check.status == "fail"
    assert "was measured on other images than split.csv lists" in check.message


def test_a_pixel_identical_copy_in_training_is_found(good, tmp_path):
    path = tmp_path / "seed_3" / "split.csv"
    table = pd.read_csv(path)
    table.loc[0, "content_hash"] = "test007"
    table.to_csv(path, index=False)
    check = run_all(good, tmp_path)["test images unseen in training"]
    assert check.status == "fail"
    assert "pixel-identical copies" in check.message


@pytest.mark.parametrize(("split", "status"), [("split0", "pass"), ("another", "fail")])
def test_generated_images_of_another_split_are_found(good, tmp_path, split, status):
    images = tmp_path / "seed_0" / "gan" / "synthetic"
    images.mkdir()
    pd.DataFrame({"split_hash": [split]}).to_csv(images / "manifest.csv", index=False)
    path = tmp_path / "seed_0" / "dcgan" / "training.csv"
    row = {"path": str(images / "angry" / "00000000.png"), "label": "angry", "origin": "generated", "times": 1}
    pd.concat([pd.read_csv(path), pd.DataFrame([row])]).to_csv(path, index=False)
    check = run_all(good, tmp_path)["test images unseen in training"]
    assert check.status == status
    assert ("come from another split" in check.message) == (status == "fail")


def test_leakage_that_cannot_be_checked_is_unknown(good, tmp_path):
    (tmp_path / "seed_1" / "none" / "training.csv").unlink()
    check = run_all(good, tmp_path)["test images unseen in training"]
    assert check.status == "unknown"
    assert "training.csv" in check.message


@pytest.mark.parametrize(("images", "status"), [(0, "pass"), (1, "fail")])
def test_near_duplicates_are_counted(good, tmp_path, images, status):
    facts = FACTS.model_copy(update={"near_duplicates": {"pairs": images, "test_images": images}})
    assert run_all(good, tmp_path, facts)["parts share no near-duplicates"].status == status
    many = facts.model_copy(update={"images": {"test": {"angry": 10, "happy": 90}}})
    assert images == 0 or run_all(good, tmp_path, many)["parts share no near-duplicates"].status == "warn"
    assert run_all(good, tmp_path, DataFacts())["parts share no near-duplicates"].status == "unknown"


def test_pairs_of_two_classes_say_that_the_hash_does_not_tell_the_images_apart(good, tmp_path):
    def check(unlike: int, groups: dict[str, dict[str, int]]):
        near = {"pairs": 20, "test_images": 9, "cross_label_pairs": unlike}
        images = {"test": {"angry": 50, "happy": 50}}  # half of all pairs are of two classes
        facts = FACTS.model_copy(update={"near_duplicates": near, "groups": groups, "images": images})
        return run_all(good, tmp_path, facts)["parts share no near-duplicates"]

    groups = {"test": {"angry": 30}, "train": {"angry": 30}, "valid": {"angry": 30}}
    assert check(8, {}).status == "warn"
    assert "the perceptual hash does not tell these images apart" in check(8, {}).message
    assert check(7, {}).status == check(0, {}).status == "fail"
    assert "7 of the pairs are of two classes. Such images make the test scores" in check(7, {}).message
    assert "data.group_pattern keeps these in one part" in check(7, {}).message
    assert "data.group_pattern" not in check(7, groups).message


@pytest.mark.parametrize(
    ("check", "name"),
    [
        ("shortcut", "generated images look real"),
        ("memorisation", "generated images are new"),
        ("leakage", "held-out images are not copied"),
        ("collapse", "generated images vary"),
        ("labels", "generated images show their class"),
        ("coverage", "generated images cover the real ones"),
    ],
)
def test_the_worst_finding_of_all_audits_counts(good, tmp_path, check, name):
    for seed, status in ((1, "warn"), (2, "fail"), (3, "fail")):
        write_audit(tmp_path, seed, **{check: {"status": status, "message": f"Bad {status}."}})
    check = run_all(good, tmp_path)[name]
    assert (check.status, check.message) == ("fail", "angry: Bad fail. (2 of 4 audits: fail)")


def test_findings_that_were_not_measured_are_unknown(good, tmp_path):
    nothing = {"status": "warn", "message": "Not measured: too few.", "is_measured": False}
    write_audit(tmp_path, labels=nothing)
    check = run_all(good, tmp_path)["generated images show their class"]
    assert (check.status, check.message) == ("unknown", "angry: Not measured: too few.")


def test_a_class_that_was_not_measured_is_named_beside_those_that_pass(good, tmp_path):
    nothing = {"status": "warn", "message": "Not measured: too few.", "is_measured": False}
    write_audit(tmp_path, 1, leakage=nothing)
    check = run_all(good, tmp_path)["held-out images are not copied"]
    assert check.status == "warn"
    assert check.message.endswith("angry: Not measured: too few.")


def test_classes_that_were_not_measured_for_one_reason_are_named_together():
    too_few = Finding("warn", "Not measured: too few.", is_measured=False)
    findings = [("b", too_few), ("a", too_few), ("a", too_few), ("c", replace(too_few, message="Not measured: none."))]
    assert _describe_by_reason(findings) == ["a, b: Not measured: too few.", "c: Not measured: none."]


def test_an_audit_that_broke_is_unknown_with_its_reason(good, tmp_path):
    (tmp_path / "seed_0" / "gan" / "audit.json").write_text(json.dumps(AUDIT | {"problem": "OSError: no space"}))
    check = run_all(good, tmp_path)["generated images look real"]
    assert (check.status, check.message) == ("unknown", "OSError: no space")
    (tmp_path / "seed_0" / "gan" / "audit.json").write_text("{")
    assert "can't be read" in run_all(good, tmp_path)["generated images are new"].message


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "null",
        json.dumps(AUDIT | {"checks": 3}),
        json.dumps(AUDIT | {"checks": {"labels": None}}),
        json.dumps(AUDIT | {"checks": {"labels": {"status": "pass"}}}),
        json.dumps(AUDIT | {"checks": {"labels": {"status": "good", "message": ""}}}),
    ],
)
def test_an_audit_that_holds_something_else_is_unknown(good, tmp_path, content):
    (tmp_path / "seed_0" / "gan" / "audit.json").write_text(content)
    checks = run_all(good, tmp_path)
    assert {checks[name].status for name in ("generated images look real", "generated images are new")} == {"unknown"}
    assert "audit.json can't be read" in checks["generated images look real"].message


def test_few_test_images_and_an_absent_class_are_named(good, tmp_path):
    many = FACTS.model_copy(update={"images": {"test": {"angry": 40, "happy": 40}}})
    check = run_all(good, tmp_path, many)["test part"]
    assert (check.status, check.message) == ("fail", "Only 20 of the 80 test images were used.")
    for result in good.results:
        result.metrics["test"]["recall"]["angry"] = None
    check = run_all(good, tmp_path)["test part"]
    assert check.status == "warn"
    assert "no image of angry" in check.message


def test_mixed_versions_and_devices_are_named(good, tmp_path):
    good.results[0] = build_result("none", 0, 0.7, versions={"torch": "2.8"}, device="cuda")
    check = run_all(good, tmp_path)["same environment"]
    assert check.status == "warn"
    assert "torch 2.8, unknown" in check.message
    assert "devices cpu, cuda" in check.message


def test_a_leak_on_purpose_is_named_and_fails_no_other_check(tmp_path):
    record = write_study(tmp_path, SCORES | {"dcgan@leak": {0: 0.9}}, list(range(5)))
    (tmp_path / "seed_0" / "dcgan@leak" / "training.csv").unlink()
    checks = run_all(record, tmp_path)
    assert "dcgan@leak saw test images on purpose" in checks["leak on purpose"].message
    assert checks["test images unseen in training"].status == "pass"
