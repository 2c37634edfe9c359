"""What the first sentence of a report claims, and from which predictions."""

from dataclasses import replace

import numpy as np
import pytest

from fer_experiments.evaluation.predictions import Predictions, save_predictions
from fer_experiments.evaluation.question import Question
from fer_experiments.report.findings import compute_findings
from fer_experiments.report.sections.answer import describe_answer, describe_other_arms
from fer_experiments.report.sections.verdicts import explain_leak
from fer_experiments.report.tables import build_comparisons_table
from tests.results import build_result, build_study, write_study, write_training

SEEDS = list(range(6))


def answer(record, folder) -> str:
    return describe_answer(record, compute_findings(record, folder))


def constant(**scores: float) -> dict[str, dict[int, float]]:
    """Return {arm: the same score for every seed}; an _and_ in a keyword is the + of an arm's name."""
    return {arm.replace("_and_", "+"): dict.fromkeys(SEEDS, score) for arm, score in scores.items()}


@pytest.mark.parametrize(
    ("score", "opening"),
    [
        (0.9, "Generated images help: dcgan gains 20.0 points of balanced accuracy against none (95% interval "),
        (0.5, "Generated images hurt: dcgan loses 20.0 points of balanced accuracy against none (95% interval "),
    ],
)
def test_the_first_sentence_is_the_verdict(tmp_path, score, opening):
    sentence = answer(write_study(tmp_path, constant(none=0.7, dcgan=score), SEEDS), tmp_path)
    assert sentence.startswith(opening)
    assert sentence.endswith(", 6 seeds, 200 test images).")


def test_what_differs_from_seed_to_seed_is_undecided(tmp_path):
    scores = constant(none=0.7) | {"dcgan": {seed: 0.6 + 0.1 * (seed % 3) for seed in SEEDS}}
    sentence = answer(write_study(tmp_path, scores, SEEDS), tmp_path)
    assert sentence.startswith("Undecided: dcgan gains 0.0 points of balanced accuracy against none (95% interval -")


def test_an_equivalent_arm_makes_no_difference(tmp_path):
    record = write_study(tmp_path, constant(none=0.7, dcgan=0.7), SEEDS)
    assert answer(record, tmp_path).startswith("Undecided: dcgan gains 0.0 points")  # 200 images are too few for it
    record.question = Question(margin=0.03)
    sentence = answer(record, tmp_path)
    assert sentence.startswith("Generated images make no difference of 3 points or more: dcgan gains 0.0 points")


def test_one_seed_is_undecided(tmp_path):
    sentence = answer(write_study(tmp_path, {"none": {0: 0.5}, "dcgan": {0: 0.9}}, [0]), tmp_path)
    assert sentence.startswith("Undecided: dcgan gains 40.0 points")
    assert "one seed, 200 test images" in sentence


def test_the_arm_that_is_best_on_validation_is_the_answer_and_the_others_follow(tmp_path):
    scores = constant(none=0.7, dcgan=0.9, none_and_traditional=0.7, dcgan_and_traditional=0.5)
    record = write_study(tmp_path, scores, SEEDS, valid={"dcgan": 0.6, "dcgan+traditional": 0.9})
    sentence = answer(record, tmp_path)
    assert sentence.startswith("Generated images hurt: dcgan+traditional loses")
    assert describe_other_arms(compute_findings(record, tmp_path)) == "dcgan helps against none."


def test_with_several_settings_of_the_data_the_answer_says_which_had_which_verdict(tmp_path):
    scores = {f"none [data.imbalance={ratio}]": dict.fromkeys(SEEDS, 0.7) for ratio in (2, 5, 10)}
    scores |= {f"dcgan [data.imbalance={ratio}]": dict.fromkeys(SEEDS, score) for ratio, score in ((2, 0.5), (5, 0.9))}
    scores |= {"dcgan [gan.epochs=9, data.imbalance=10]": dict.fromkeys(SEEDS, 0.9)}
    scores |= {"dcgan [gan.epochs=1, data.imbalance=10]": dict.fromkeys(SEEDS, 0.5)}
    record = write_study(tmp_path, scores, SEEDS)
    sentence = "Generated images help with data.imbalance=5, 10. Generated images hurt with data.imbalance=2."
    assert answer(record, tmp_path) == sentence
    assert describe_other_arms(compute_findings(record, tmp_path)) == ""
    best = compute_findings(record, tmp_path).best["data.imbalance=10"]
    assert best.arm == "dcgan [gan.epochs=9, data.imbalance=10]"


def test_data_that_differ_in_more_than_one_key_are_written_out(tmp_path):
    names = "data.imbalance=2, data.bottleneck=64", "data.imbalance=2, data.bottleneck=null"
    scores = {f"{arm} [{data}]": {0: 0.7} for data in names for arm in ("none", "dcgan")}
    assert answer(write_study(tmp_path, scores, [0]), tmp_path) == f"Undecided with {'; '.join(names)}."


def test_an_answer_that_depends_on_the_second_comparison_says_so(tmp_path):
    scores = constant(none=0.9, none_and_traditional=0.5, dcgan_and_traditional=0.7)
    sentence = answer(write_study(tmp_path, scores, SEEDS), tmp_path)
    assert sentence.startswith("Undecided: Better than none+traditional, but not shown to be better than none: ")


def test_arms_are_compared_on_the_seeds_that_both_finished(tmp_path):
    scores = {"none": {0: 0.7, 1: 0.7, 2: 0.1}, "dcgan": {0: 0.8, 1: 0.8}}
    assert "gains 10.0 points" in answer(write_study(tmp_path, scores, [0, 1, 2]), tmp_path)


def test_arms_without_a_seed_in_common_are_not_compared(tmp_path):
    sentence = answer(write_study(tmp_path, {"none": {0: 0.7}, "dcgan": {1: 0.8}}, [0, 1]), tmp_path)
    assert sentence == "Undecided: dcgan has no finished seed of the same split in common with none."


def test_without_generated_images_there_is_no_answer(tmp_path):
    record = write_study(tmp_path, {"none": {0: 0.7}, "oversample": {0: 0.8}}, [0])
    assert answer(record, tmp_path) == "No answer: no finished arm used generated images."


def test_a_gan_arm_that_was_given_no_images_is_a_simple_arm(tmp_path):
    record = write_study(tmp_path, {"none": {0: 0.7}}, [0])
    record.arms.append("dcgan")
    record.results.append(build_result("dcgan", 0, 0.9, generated={"angry": 0}))
    write_training(record.results[1], tmp_path / "seed_0" / "dcgan", 0.9)
    assert answer(record, tmp_path) == "No answer: no finished arm used generated images."


def test_a_failed_arm_is_named_if_it_leaves_no_answer(tmp_path):
    failed = {"seed 0, dcgan": "NonFiniteError: NaN"}
    record = write_study(tmp_path / "a", {"none": {0: 0.7}, "dcgan": {}}, [0], failed)
    assert answer(record, tmp_path / "a").endswith("used generated images (failed: dcgan).")
    alone = write_study(tmp_path / "b", {"none": {}, "dcgan": {0: 0.8}}, [0], {"seed 0, none": "OSError: full"})
    assert answer(alone, tmp_path / "b") == "Undecided: no simple arm finished to compare with dcgan (failed: none)."


def test_a_study_without_results_has_no_answer(tmp_path):
    nothing = {"none": {}, "dcgan": {}}
    assert answer(build_study(nothing, [0]), tmp_path) == "No answer: no training has finished."
    failed = {"seed 0, none": "x", "seed 0, dcgan": "x"}
    assert answer(build_study(nothing, [0], failed), tmp_path) == "No answer: every training failed."
    assert answer(build_study(nothing, [0], {"seed 0, none": "x"}), tmp_path) == "No answer: no training has finished."


def test_without_predictions_there_is_no_answer(tmp_path):
    record = build_study(constant(none=0.7, dcgan=0.9), SEEDS)
    assert answer(record, tmp_path) == "No answer: the predictions that a verdict needs can't be read."


# ---- what is left out of the verdict


def test_a_training_without_predictions_is_left_out_and_named(tmp_path):
    record = write_study(tmp_path, constant(none=0.7, dcgan=0.9), SEEDS)
    (tmp_path / "seed_2" / "dcgan" / "predictions.npz").write_bytes(b"PK cut")
    findings = compute_findings(record, tmp_path)
    assert findings.arms[0].pairs[0].comparison.seeds == 5
    (problem,) = findings.problems
    assert problem.startswith("seed 2, dcgan: has no part in the verdict: ")
    assert "predictions.npz" in problem


def test_a_training_measured_on_other_images_is_left_out_and_named(tmp_path):
    record = write_study(tmp_path, constant(none=0.7, dcgan=0.9), SEEDS)
    write_training(record.results_of("dcgan")[0], tmp_path / "seed_0" / "dcgan", 0.9, images=180)
    findings = compute_findings(record, tmp_path)
    assert findings.arms[0].pairs[0].comparison.seeds == 5
    assert findings.problems == [
        "seed 0, dcgan: was measured on other test images or labels than the others and has no part in the verdict"
    ]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("test_labels", lambda labels: labels.astype(float)),
        ("test_labels", lambda labels: labels + 1),
        ("test_labels", lambda labels: labels - 1),
        ("test_labels", lambda labels: 1 - labels),
        ("test_labels", lambda labels: labels[0]),
        ("valid_labels", lambda labels: labels - 1),
        ("test_logits", lambda logits: logits.astype(str)),
        ("test_content_hash", lambda hashes: np.arange(len(hashes))),
        ("classes", lambda classes: np.array(3)),
    ],
)
def test_predictions_that_hold_something_else_lose_no_other_training(tmp_path, name, change):
    record = write_study(tmp_path, constant(none=0.7, dcgan=0.9), SEEDS)
    path = tmp_path / "seed_2" / "dcgan" / "predictions.npz"
    with np.load(path) as arrays:
        content = dict(arrays)
    np.savez(path, **content | {name: change(content[name])})
    findings = compute_findings(record, tmp_path)
    assert findings.arms[0].pairs[0].comparison.seeds == 5
    assert findings.problems[0].startswith("seed 2, dcgan: ")


def test_a_part_without_images_is_named(tmp_path):
    record = write_study(tmp_path, {"none": {0: 0.7}}, [0])
    path = tmp_path / "seed_0" / "none" / "predictions.npz"
    with np.load(path) as arrays:
        np.savez(path, **{name: array[:0] if name.startswith("valid") else array for name, array in arrays.items()})
    (problem,) = compute_findings(record, tmp_path).problems
    assert "labels of valid: must be places in the 2 classes, one or more" in problem


def test_leaks_get_no_verdict_but_an_explanation(tmp_path):
    names = {"none": 0.7, "dcgan": 0.72, "none@leak": 0.75, "dcgan@leak": 0.9}
    record = write_study(tmp_path, {arm: {0: score} for arm, score in names.items()}, [0])
    findings = compute_findings(record, tmp_path)
    assert [verdict.arm for verdict in findings.arms] == ["dcgan"]
    assert set(findings.estimates) == set(names)
    text = explain_leak(findings.leaks[0], Question())
    assert "dcgan gains +15.0 points against none" in text
    assert "without the leak, +2.0" in text
    assert "the leak is worth +13.0 points here; the gain that the paper reports is +9.5." in text
    assert "With one seed and 200 test images such a difference moves by" in text


def test_the_table_of_comparisons_has_a_row_for_each(tmp_path):
    record = write_study(tmp_path, constant(none=0.7, oversample=0.75, dcgan=0.9), SEEDS, valid={"oversample": 0.8})
    table = build_comparisons_table(compute_findings(record, tmp_path))
    assert table[["arm", "against", "verdict"]].to_numpy().tolist() == [
        ["dcgan", "oversample", "helps"],
        ["dcgan", "none", ""],
        ["oversample", "none", "helps"],
    ]
    assert table["difference"].tolist() == ["+15.0", "+20.0", "+5.0"]


def test_many_other_arms_are_only_counted(tmp_path):
    scores = constant(none=0.7) | {f"dcgan [gan.epochs={number}]": dict.fromkeys(SEEDS, 0.5) for number in range(4)}
    scores |= {"dcgan [gan.epochs=9]": dict.fromkeys(SEEDS, 0.9)}
    record = write_study(tmp_path, scores, SEEDS, valid={"dcgan [gan.epochs=9]": 0.95})
    assert describe_other_arms(compute_findings(record, tmp_path)) == "Of 4 other arms with generated images, 4 hurt."
    without = {arm: by_seed for arm, by_seed in scores.items() if arm != "none"}
    alone = write_study(tmp_path / "alone", without, SEEDS)
    assert (
        answer(alone, tmp_path / "alone")
        == "Undecided: no simple arm finished to compare with 5 arms with generated images."
    )


def test_pixel_identical_test_images_count_once(tmp_path):
    record = write_study(tmp_path, {"none": dict.fromkeys(range(5), 0.7)}, list(range(5)))
    separate = compute_findings(record, tmp_path).estimates["none"]
    for result in record.results:
        folder = record.folder_of(result, tmp_path)
        valid, test = (Predictions.load(folder, part) for part in ("valid", "test"))
        numbers = np.arange(len(test.labels))  # the labels are 0, 1, 0, 1, ...
        copies = replace(test, content_hash=test.content_hash[numbers // 8 * 8 + numbers % 2])
        save_predictions(folder, {"valid": valid, "test": copies})
    together = compute_findings(record, tmp_path).estimates["none"]
    assert together.mean == separate.mean
    assert together.high - together.low > 1.3 * (separate.high - separate.low)
