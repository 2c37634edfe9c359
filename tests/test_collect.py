"""Finished runs, wherever they are, make one report; what can't be used is named and nothing else is lost."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest
import yaml

from fer_experiments.report.__main__ import main
from fer_experiments.report.collect import collect
from fer_experiments.report.study_record import Growth, StudyRecord
from fer_experiments.report.write_report import write_report
from tests.results import build_result, build_study, save_study, write_gan, write_job, write_result, write_sweep


def arms_and_seeds(record: StudyRecord) -> list[tuple[str, int]]:
    return [(result.arm, result.seed) for result in record.results]


# ---- a study


def test_a_study_alone_gives_the_tables_that_it_wrote(tmp_path):
    record = build_study({"none": {3: 0.7, 1: 0.72}, "dcgan": {3: 0.8}}, [3, 1], {"seed 1, dcgan": "OSError: full"})
    record.results.sort(key=lambda result: [3, 1].index(result.seed))
    folder = save_study(tmp_path / "study", record)
    write_report(record, folder)
    tables = [(folder / name).read_bytes() for name in ("comparison.csv", "comparison.md", "report.html")]
    assert main([str(folder)]) == 0
    assert [(folder / name).read_bytes() for name in ("comparison.csv", "comparison.md", "report.html")] == tables
    again = collect([folder])
    assert (again.arms, again.seeds, again.failed, again.problems) == (record.arms, [3, 1], record.failed, [])


def test_folders_of_the_trainings_are_found_in_a_study_and_after_collecting(tmp_path):
    folder = save_study(tmp_path / "study", build_study({"none": {0: 0.7}}, [0]))
    for record in (StudyRecord.load(folder), collect([tmp_path])):
        assert record.folder_of(record.results[0], folder) == folder / "seed_0" / "none"


def test_a_seed_that_has_not_run_is_listed(tmp_path):
    folder = save_study(tmp_path / "study", build_study({"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0, 1]))
    assert collect([folder]).unfinished_trainings() == [
        ("seed 1, none", "not run yet"),
        ("seed 1, dcgan", "not run yet"),
    ]


def test_a_study_cut_short_keeps_what_it_finished_after_its_last_record(tmp_path):
    folder = save_study(tmp_path / "study", build_study({"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0, 1]))
    write_result(folder / "seed_1" / "none", build_result("none", 1, 0.75))
    record = collect([folder])
    assert arms_and_seeds(record) == [("none", 0), ("dcgan", 0), ("none", 1)]
    assert record.unfinished_trainings() == [("seed 1, dcgan", "not run yet")]


def test_a_study_without_its_record_still_expects_all_its_arms(tmp_path):
    write_job(tmp_path / "study", train="study")
    write_result(tmp_path / "study" / "seed_0" / "none", build_result("none", 0, 0.7))
    record = collect([tmp_path])
    assert arms_and_seeds(record) == [("none", 0)]
    assert [training for training, _ in record.unfinished_trainings()] == [
        "seed 0, dcgan",
        "seed 1, none",
        "seed 1, dcgan",
    ]
    assert record.failed["seed 0, dcgan"] == f"{tmp_path / 'study'} left no study.json that can be read"


def test_a_record_whose_folders_are_gone_is_used_and_says_so(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    build_study({"none": {0: 0.7}}, [0]).save(folder)
    record = collect([folder])
    assert arms_and_seeds(record) == [("none", 0)]
    (problem,) = record.problems
    assert problem.startswith(
        f"seed 0, none: no result can be read in {folder / 'seed_0' / 'none'}; its numbers are those of"
    )


def test_a_record_without_the_newer_fields_is_read(tmp_path):
    build_study({"none": {0: 0.7}}, [0]).save(tmp_path)
    content = json.loads((tmp_path / "study.json").read_text())
    del content["folders"], content["problems"]
    (tmp_path / "study.json").write_text(json.dumps(content))
    assert StudyRecord.load(tmp_path).folders == {}


@pytest.mark.parametrize("content", [None, "", '{"arms": ["none"', "[1]", '{"seeds": "x"}'])
def test_a_file_that_is_not_a_record_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "study.json").write_text(content)
    with pytest.raises(ValueError, match=r"study\.json: is not a study: "):
        StudyRecord.load(tmp_path)


def test_arms_of_a_lost_record_take_the_run_s_augmentation(tmp_path):
    write_job(tmp_path, train="study", augment="traditional")
    config = {"seed": 3, "train": {"arms": ["none", "dcgan+none"], "seeds": [3]}}
    (tmp_path / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config))
    write_result(tmp_path / "seed_3" / "dcgan", build_result("dcgan", 3, 0.7))
    assert [training for training, _ in collect([tmp_path]).unfinished_trainings()] == ["seed 3, none+traditional"]


# ---- broken files


@pytest.mark.parametrize("content", ["", '{"job": "cnn", "arm', '{"other": 1}', "[]"])
def test_a_broken_result_is_named_and_the_others_are_reported(tmp_path, capsys, content):
    root = write_sweep(tmp_path / "sweep", a=25, b=25)
    (root / "b" / "result.json").write_text(content)
    write_result(root / "b2", build_result("none", 0, 0.6))
    assert main([str(root)]) == 0
    assert list(pd.read_csv(root / "comparison.csv")["arm"]) == ["dcgan", "none"]
    assert f"{root / 'b' / 'result.json'}: is not a result" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["metrics"].clear(), "has no test part"),
        (lambda content: content["metrics"]["test"].pop("recall"), "recall"),
        (lambda content: content["metrics"]["test"].update(accuracy="high"), "accuracy"),
        (lambda content: content["metrics"]["test"].update(recall={"sad": 0.5}), "are not those of angry, happy"),
        (lambda content: content["metrics"]["test"].update(confusion=[[1, 2], [3]]), "as many rows and columns"),
        (lambda content: content["real"].clear(), "has no count of angry, happy"),
    ],
)
def test_a_result_that_lacks_what_a_report_needs_is_named(tmp_path, change, message):
    write_result(tmp_path / "a", build_result("none", 0, 0.7))
    write_result(tmp_path / "b", build_result("none", 1, 0.7))
    content = json.loads((tmp_path / "b" / "result.json").read_text())
    change(content)
    (tmp_path / "b" / "result.json").write_text(json.dumps(content))
    record = collect([tmp_path])
    assert arms_and_seeds(record) == [("none", 0)]
    assert f"{tmp_path / 'b' / 'result.json'}: is not a result" in record.problems[0]
    assert message in record.problems[0]


def test_a_broken_result_of_a_study_is_taken_from_its_record(tmp_path):
    folder = save_study(tmp_path / "study", build_study({"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0]))
    (folder / "seed_0" / "none" / "result.json").write_text("")
    record = collect([folder])
    assert arms_and_seeds(record) == [("none", 0), ("dcgan", 0)]
    broken, replaced = record.problems
    assert broken.startswith(f"{folder / 'seed_0' / 'none' / 'result.json'}: is not a result")
    assert replaced.startswith("seed 0, none: ")


def test_a_class_may_be_named_by_bytes_that_are_not_text(tmp_path):
    write_result(tmp_path / "a", build_result("none", 0, 0.7, ("\udcff", "happy")))
    folder = save_study(tmp_path / "b", build_study({"none": {}}, [1], {"seed 1, none": "no \udcff"}))
    assert collect([tmp_path / "a"]).results[0].classes == ["\udcff", "happy"]
    assert StudyRecord.load(folder).failed == {"seed 1, none": "no \udcff"}


def test_a_broken_configuration_is_named(tmp_path):
    root = write_sweep(tmp_path, a=25)
    (root / "a" / ".hydra" / "config.yaml").write_text("a: [")
    record = collect([root])
    assert arms_and_seeds(record) == [("dcgan", 0)]
    assert "is not the configuration of a job" in record.problems[0]


# ---- several sources


def test_a_sweep_names_its_arms_by_what_differs(tmp_path):
    record = collect([write_sweep(tmp_path, a=100, b=300)])
    assert record.arms == ["dcgan [gan.epochs=100]", "dcgan [gan.epochs=300]"]
    assert [result.arm for result in record.results] == record.arms
    assert record.folder_of(record.results[1], Path()) == tmp_path / "b"
    assert record.problems == []


def test_an_arm_keeps_its_own_settings_before_what_was_swept(tmp_path):
    names = "none", "dcgan [balance.add=5]", "dcgan [balance.add=9]"
    for name, ratio in (("a", 2), ("b", 10)):
        write_job(tmp_path / name, f"data.imbalance={ratio}", train="study", data={"imbalance": ratio})
        save_study(tmp_path / name, build_study({arm: {0: 0.7} for arm in names}, [0]))
    record = collect([tmp_path])
    assert record.arms[:3] == [
        "none [data.imbalance=2]",
        "dcgan [balance.add=5, data.imbalance=2]",
        "dcgan [balance.add=9, data.imbalance=2]",
    ]
    assert (len(record.arms), record.problems) == (6, [])


def test_a_sweep_does_not_change_what_an_arm_sets_itself(tmp_path):
    for name, add in (("a", 2), ("b", 10)):
        write_job(tmp_path / name, f"balance.add={add}", train="study", balance={"add": add})
        save_study(tmp_path / name, build_study({"dcgan": {0: 0.7}, "dcgan [balance.add=5]": {0: 0.7}}, [0]))
    record = collect([tmp_path])
    assert record.arms == ["dcgan [balance.add=2]", "dcgan [balance.add=5]", "dcgan [balance.add=10]"]


def test_a_run_that_left_a_key_alone_is_named_by_its_default(tmp_path):
    write_sweep(tmp_path, a=100)
    write_job(tmp_path / "b")
    write_result(tmp_path / "b", build_result("dcgan", 0, 0.6))
    assert collect([tmp_path]).arms == ["dcgan [gan.epochs=100]", "dcgan [gan.epochs=25]"]


def test_a_chosen_file_is_a_setting_whether_typed_or_not(tmp_path):
    write_job(tmp_path / "a", "experiment=paper", "balance=dcgan", experiment="paper")
    write_job(tmp_path / "b", "seed=1", "accelerator=cpu")
    for seed, name in enumerate("ab"):
        write_result(tmp_path / name, build_result("dcgan", seed, 0.7))
    assert collect([tmp_path]).arms == ["dcgan [experiment=paper]", "dcgan [experiment=quick]"]


def test_a_leak_still_ends_the_name_of_its_arm(tmp_path):
    for name, epochs in (("a", 100), ("b", 300)):
        write_job(tmp_path / name, f"gan.epochs={epochs}", gan={"epochs": epochs})
        write_result(tmp_path / name / "x", build_result("dcgan@leak", 0, 0.7))
    arms = [result.arm for result in collect([tmp_path]).results]
    assert arms == ["dcgan [gan.epochs=100]@leak", "dcgan [gan.epochs=300]@leak"]


def test_a_job_of_another_program_is_ignored(tmp_path):
    write_sweep(tmp_path, a=100)
    (tmp_path / "other" / ".hydra").mkdir(parents=True)
    for name, content in (("overrides", []), ("config", {}), ("hydra", {"hydra": {"runtime": {"choices": {}}}})):
        (tmp_path / "other" / ".hydra" / f"{name}.yaml").write_text(yaml.safe_dump(content))
    record = collect([tmp_path])
    assert (record.arms, record.problems) == (["dcgan"], [])


def test_settings_of_the_gan_don_t_separate_arms_without_generated_images(tmp_path):
    for name, epochs in (("a", 100), ("b", 300)):
        write_job(tmp_path / name, f"gan.epochs={epochs}", train="study", gan={"epochs": epochs})
        save_study(tmp_path / name, build_study({"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0]))
    record = collect([tmp_path])
    assert record.arms == ["none", "dcgan [gan.epochs=100]", "dcgan [gan.epochs=300]"]
    assert [text.split(";")[0] for text in record.problems] == ["seed 0, none: was trained more than once"]


def test_jobs_of_a_sweep_come_in_the_order_of_their_numbers(tmp_path):
    record = collect([write_sweep(tmp_path, **{"10-x": 3, "2-x": 2, "0-x": 1})])
    assert record.arms == [f"dcgan [gan.epochs={epochs}]" for epochs in (1, 2, 3)]


def test_a_job_that_left_no_result_is_listed(tmp_path):
    root = write_sweep(tmp_path, a=100)
    write_job(root / "b", "gan.epochs=300", gan={"epochs": 300})
    record = collect([root])
    assert record.failed == {"seed 0, dcgan [gan.epochs=300]": f"{root / 'b'} left no result.json that can be read"}


def test_a_job_that_failed_and_was_run_again_is_not_missing(tmp_path):
    root = write_sweep(tmp_path, a=100)
    write_job(root / "b", "gan.epochs=100", gan={"epochs": 100})
    assert collect([root]).unfinished_trainings() == []


def test_studies_of_other_seeds_are_joined(tmp_path):
    for seed in (4, 2):
        save_study(tmp_path / f"{seed}", build_study({"none": {seed: 0.7}, "dcgan": {seed: 0.8}}, [seed]))
    record = collect([tmp_path / "4", tmp_path / "2"])
    assert arms_and_seeds(record) == [("none", 2), ("dcgan", 2), ("none", 4), ("dcgan", 4)]
    assert (record.seeds, record.seconds, record.unfinished_trainings()) == ([2, 4], 4.0, [])


@pytest.mark.parametrize("stops", [("budget", "settled"), ("settled", "budget")])
def test_joined_studies_that_grew_expect_only_what_each_of_them_planned(tmp_path, stops):
    for name, epochs, stop, seeds in zip("ab", (100, 300), stops, (3, 5), strict=True):
        write_job(tmp_path / name, f"gan.epochs={epochs}", train="study", gan={"epochs": epochs})
        record = build_study({arm: dict.fromkeys(range(seeds), 0.7) for arm in ("none", "dcgan")}, [*range(seeds)])
        record.growth = Growth(level=0.95, looks=[3, 5], budget=60.0, stop=stop)
        save_study(tmp_path / name, record)
    record = collect([tmp_path])
    assert record.seeds == [0, 1, 2, 3, 4]
    assert (record.growth, record.unfinished_trainings(), len(record.planned)) == (None, [], 5 + 3 + 5)
    write_report(record, tmp_path)
    assert "It stopped" not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(("arm", "key", "is_named"), [
    ("focal", "balance.gamma", True),
    ("copies", "balance.add", True),
    ("copies", "gan.image_size", True),
    ("copies", "gan.epochs", False),
    ("none", "balance.add", False),
    ("mine", "balance.add", True),
])  # fmt: skip
def test_a_setting_separates_the_arms_to_whose_strategy_it_belongs(tmp_path, arm, key, is_named):
    group, _, name = key.partition(".")
    for value in (1, 2):
        folder = tmp_path / f"{value}"
        write_job(folder, f"{key}={value}", **{group: {name: value}})
        write_result(folder, build_result(arm, 0, 0.7, copied={"angry": 5} if arm == "copies" else {}))
    expected = [f"{arm} [{key}=1]", f"{arm} [{key}=2]"] if is_named else [arm]
    assert collect([tmp_path]).arms == expected


def test_of_two_results_with_the_same_settings_the_newer_counts(tmp_path):
    for age, (name, score) in enumerate((("new", 0.9), ("old", 0.6))):
        write_result(tmp_path / name, build_result("none", 0, score))
        os.utime(tmp_path / name / "result.json", (1000 - age, 1000 - age))
    record = collect([tmp_path])
    assert [result.metrics["test"]["accuracy"] for result in record.results] == [0.9]
    assert record.problems == [
        f"seed 0, none: was trained more than once; the newest counts, {tmp_path / 'new'}, not {tmp_path / 'old'}"
    ]


def test_a_folder_named_twice_counts_once(tmp_path):
    folder = save_study(tmp_path / "study", build_study({"none": {0: 0.7}}, [0]))
    record = collect([tmp_path, folder, folder / "seed_0"])
    assert arms_and_seeds(record) == [("none", 0)]
    assert record.problems == []


def test_one_training_of_a_study_can_be_reported_alone(tmp_path):
    write_job(tmp_path / "study", train="study")
    folder = save_study(tmp_path / "study", build_study({"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0]))
    record = collect([folder / "seed_0" / "none"])
    assert (record.arms, record.failed) == (["none"], {})


def test_results_on_other_classes_are_left_out_and_named(tmp_path):
    write_result(tmp_path / "a", build_result("none", 0, 0.7))
    write_result(tmp_path / "b", build_result("none", 1, 0.7, ("cat", "dog")))
    record = collect([tmp_path])
    assert arms_and_seeds(record) == [("none", 0)]
    assert "was trained on cat, dog, another none on angry, happy; it is left out" in record.problems[0]


def test_the_result_of_a_gan_is_not_a_classifier(tmp_path):
    write_gan(tmp_path / "gan", [1])
    with pytest.raises(ValueError, match="no classifier was trained in"):
        collect([tmp_path])


# ---- the command


def test_nothing_to_report_is_an_error(tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert f"report: no classifier was trained in {tmp_path}" in capsys.readouterr().err
    assert main([str(tmp_path / "absent")]) == 2
    assert "absent: is not a folder" in capsys.readouterr().err
    save_study(tmp_path / "study", build_study({"none": {}}, [0], {"seed 0, none": "OSError: full"}))
    assert main([str(tmp_path)]) == 2
    assert "no training of a classifier has finished\n  seed 0, none: OSError: full" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a b", "怒り", "[red]", "<b>", "\udcff", "50%"])
def test_a_folder_may_have_any_name(tmp_path, capsys, name):
    folder = save_study(tmp_path / name, build_study({"none": {0: 0.7}, "dcgan": {}}, [0], {"seed 0, dcgan": name}))
    (folder / "seed_0" / "none" / "result.json").write_text("")
    assert main([str(folder)]) == 0
    capsys.readouterr().out.encode()  # as a terminal does
    assert (folder / "report.html").read_bytes().decode()


def test_several_folders_need_a_place_for_the_report(tmp_path, capsys):
    folders = [str(save_study(tmp_path / f"{seed}", build_study({"none": {seed: 0.7}}, [seed]))) for seed in (0, 1)]
    with pytest.raises(SystemExit, match="2"):
        main(folders)
    assert "--out: is needed with several folders" in capsys.readouterr().err
    (tmp_path / "1" / "data.json").write_text('{"files": 4711}')
    assert main([*folders, "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "4711" in page
    assert f"<title>{tmp_path.name}/out:" in page
    assert f"report of 2 finished trainings in {tmp_path / 'out'}" in capsys.readouterr().out
    assert not (tmp_path / "0" / "report.html").exists()
