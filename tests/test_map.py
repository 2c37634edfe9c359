"""The map: the verdicts of many studies in one table and one figure, and the experiment that trains them."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from fer_experiments.bench.map import count_verdicts, main
from fer_experiments.bench.map_figure import ARM_MARKERS, VERDICT_STYLES, draw_map
from fer_experiments.bench.map_points import MapPoint, name_data_set, read_points
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.unused import draw_unused_images
from fer_experiments.evaluation.question import Question
from fer_experiments.report.findings import VERDICT_FILE, SavedVerdicts, compute_findings
from fer_experiments.report.study_record import Growth, StudyRecord
from fer_experiments.runs.status import Status
from fer_experiments.runs.sweep_progress import SweepPlan, list_sweep_jobs
from fer_experiments.train.arms.compose import compose_arms
from tests.conftest import source
from tests.results import write_job, write_study

SCORES = {"none": 0.6, "oversample": 0.8, "dcgan": 0.7, "real_images": 0.9}
FER2013 = {"_target_": "fer_experiments.data.sources.FER2013", "root": "somewhere"}
POINT = MapPoint(
    "Digits: 3, 8", "3", 8, "none", "dcgan", "generated", 5, 72, "oversample", -2.0, -3.0, -1.0, "hurts", "study"
)


def write_map_study(folder: Path, augment: str = "none", images: int = 5, **changes) -> StudyRecord:
    """Write a finished study of three seeds with one arm of generated images, its verdicts and its configuration."""
    suffix = "" if augment == "none" else f"+{augment}"
    scores = {f"{arm}{suffix}": dict.fromkeys(range(3), score) for arm, score in SCORES.items()}
    record = write_study(folder, scores, [0, 1, 2]).model_copy(update=changes)
    for result in record.results:
        result.real["angry"] = images
        if "real_images" in result.arm:
            result.added_real, result.is_control = {"angry": 5}, True
    record.question = record.question.model_copy(update={"baseline": f"none{suffix}"})
    record.save(folder)
    compute_findings(record, folder).save(folder, record.question)
    write_job(folder, train="study", augment=augment, data=FER2013)
    return record


def test_verdicts_are_read_as_they_were_written(tmp_path):
    record = write_map_study(tmp_path / "study")
    findings = compute_findings(record, tmp_path / "study")
    assert SavedVerdicts.load(tmp_path / "study") == SavedVerdicts(findings.estimates, findings.arms, findings.images)


def test_a_point_says_what_the_verdict_says(tmp_path):
    write_map_study(tmp_path, augment="traditional", images=4)
    file = tmp_path / VERDICT_FILE
    content = json.loads(file.read_bytes())
    (verdict,) = (arm for arm in content["arms"] if arm["generated"])
    verdict["verdict"] = "equivalent"  # which the predictions do not say: nothing is decided anew
    verdict["pairs"][0]["comparison"] |= {"difference": 0.125, "low": -0.5, "high": 0.25}
    file.write_text(json.dumps(content))
    points, question, problems = read_points([tmp_path])
    assert problems == []
    assert question.metric == "balanced_accuracy"
    assert points[0] == MapPoint(
        data_set="FER2013: angry, happy",
        smallest_class="angry",
        training_images=4,
        augmentation="traditional",
        arm="dcgan",
        kind="generated",
        seeds=3,
        test_images=200,
        best_simple_arm="oversample",
        difference=12.5,
        low=-50,
        high=25,
        verdict="equivalent",
        study=str(tmp_path),
    )


def test_the_ceiling_is_the_difference_of_means_from_the_best_simple_arm(tmp_path):
    write_map_study(tmp_path)
    generated, ceiling = read_points([tmp_path])[0]
    assert (ceiling.arm, ceiling.kind, ceiling.best_simple_arm) == ("real_images", "ceiling", "oversample")
    assert generated.difference == pytest.approx(-10)
    assert ceiling.difference == pytest.approx(10)
    assert (ceiling.low, ceiling.high, ceiling.verdict) == (None, None, None)


def test_each_ceiling_is_that_of_its_augmentation_and_of_common_seeds(tmp_path):
    record = write_map_study(tmp_path)
    scores = {"none+traditional": 0.9, "dcgan+traditional": 0.85, "real_images+traditional": 0.95}
    more = write_study(tmp_path, {arm: dict.fromkeys(range(3), score) for arm, score in scores.items()}, [0, 1, 2])
    for result in more.results:
        if "real_images" in result.arm:
            result.added_real, result.is_control = {"angry": 5}, True
    record.arms += more.arms
    record.results += more.results[:-1]  # the ceiling with augmentation lacks a seed
    record.failed = {"seed 2, real_images+traditional": "OSError: full"}
    record.results[0].metrics["test"]["balanced_accuracy"] = 0.3  # of none, with which no ceiling is compared
    record.save(tmp_path)
    compute_findings(record, tmp_path).save(tmp_path, record.question)
    ceilings = {point.augmentation: point for point in read_points([tmp_path])[0] if point.kind == "ceiling"}
    assert {name: (point.best_simple_arm, point.seeds) for name, point in ceilings.items()} == {
        "none": ("oversample", 3),
        "traditional": ("none", 2),
    }
    assert ceilings["traditional"].difference == pytest.approx(5)


def test_the_command_writes_table_figures_and_page(tmp_path, capsys):
    for augment in ("traditional", "none"):
        for images in (8, 5):
            write_map_study(tmp_path / "sweep" / f"{augment}{images}", augment, images)
    assert main([str(tmp_path / "sweep"), "--out", str(tmp_path / "map")]) == 0
    table = pd.read_csv(tmp_path / "map" / "map.csv").query("kind == 'generated'")
    assert table[["augmentation", "training_images"]].to_numpy().tolist() == [
        ["none", 5], ["none", 8], ["traditional", 5], ["traditional", 8]
    ]  # fmt: skip
    sentence = f"helped in 0 of 4 settings, hurt in {(table['verdict'] == 'hurts').sum()}"
    page = (tmp_path / "map" / "map.md").read_text()
    assert sentence in page
    assert "-10.0 (-" in page
    assert "Warnings" not in page
    assert (tmp_path / "map" / "map.png").read_bytes().startswith(b"\x89PNG")
    assert "FER2013: angry, happy" in (tmp_path / "map" / "map.svg").read_text()
    streams = capsys.readouterr()
    assert sentence in streams.out
    assert streams.err == ""


def test_what_can_not_be_used_is_named(tmp_path, capsys):
    write_map_study(tmp_path / "finished")
    write_map_study(tmp_path / "growing", growth=Growth(level=0.95, looks=[3, 5]))
    write_map_study(tmp_path / "waiting", seeds=[0, 1, 2, 3])
    write_map_study(tmp_path / "undecided")
    (tmp_path / "undecided" / VERDICT_FILE).unlink()
    write_job(tmp_path / "gan", train="dcgan")
    write_job(tmp_path / "broken", train="study")
    Status().ended(ValueError("no space")).save(tmp_path / "broken")
    (tmp_path / "sweep").mkdir()
    SweepPlan(started=0, total=2, jobs=[["seed=0"], ["seed=1"]]).save(tmp_path / "sweep")
    (tmp_path / "empty").mkdir()
    assert main([*map(str, tmp_path.iterdir()), "--out", str(tmp_path / "map")]) == 0
    warnings = capsys.readouterr().err
    for name, reason in {
        "growing": "is left out, because the study is unfinished, with 3 seeds so far",
        "waiting": "is left out, because the study is unfinished, with 3 seeds so far",
        f"undecided/{VERDICT_FILE}": "is not the verdict of a study",
        "gan": "is a run of train=dcgan, which is no study",
        "broken": "has no finished seed: failed ValueError: no space",
        "sweep": "0 of 2 jobs done, 2 waiting",
        "empty": "there is no study in this folder",
    }.items():
        assert f"warning: {tmp_path / name}: {reason}" in warnings
    page = (tmp_path / "map" / "map.md").read_text()
    assert page.count("| hurts ") + page.count("| undecided ") == 1
    assert "no space" in page


def test_a_failed_training_is_named_and_leaves_its_study_on_the_map(tmp_path):
    record = write_map_study(tmp_path)
    lost = [result for result in record.results if result.arm != "real_images"]
    failed = {f"seed {seed}, real_images": "ConfigError: too few" for seed in record.seeds}
    record.model_copy(update={"results": lost, "failed": failed}).save(tmp_path)
    points, _, problems = read_points([tmp_path])
    assert [point.kind for point in points] == ["generated"]
    assert problems[:3] == [f"{tmp_path}: {training}: {error}" for training, error in failed.items()]


def test_without_generated_images_there_is_no_map(tmp_path, capsys):
    record = write_study(tmp_path, {"none": {0: 0.5}}, [0])
    record.save(tmp_path)
    compute_findings(record, tmp_path).save(tmp_path, record.question)
    write_job(tmp_path, train="study", data=FER2013)
    assert main([str(tmp_path), "--out", str(tmp_path / "map")]) == 2
    assert "no arm with generated images is compared with a simple one" in capsys.readouterr().err


def test_studies_with_different_questions_are_refused(tmp_path, capsys):
    write_map_study(tmp_path / "a")
    record = write_map_study(tmp_path / "b")
    record.model_copy(update={"question": Question(margin=0.02)}).save(tmp_path / "b")
    assert main([str(tmp_path), "--out", str(tmp_path / "map")]) == 2
    assert "train.margin=0.02: studies of one map ask the same question" in capsys.readouterr().err


def test_two_studies_of_one_setting_are_named(tmp_path):
    for name in "ab":
        write_map_study(tmp_path / name)
    points, _, problems = read_points([tmp_path, tmp_path / "a"])
    assert len(points) == 4
    assert any("2 studies have dcgan on FER2013: angry, happy with 5 images of angry" in each for each in problems)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (FER2013, "FER2013: a, b"),
        ({"_target_": "fer_experiments.data.sources.DrawnFaces"}, "Drawn faces: a, b"),
        ({"_target_": "fer_experiments.data.sources.Folder", "root": "/images/pets/"}, "pets: a, b"),
        ({"_target_": "fer_experiments.data.sources.TorchvisionDataset", "name": "CIFAR10", "root": "x"},
         "CIFAR10: a, b"),
        ({"_target_": "fer_experiments.data.sources.MedMNIST", "name": "bloodmnist", "file": None}, "bloodmnist: a, b"),
        ({"_target_": "fer_experiments.data.sources.Npz", "file": "some/cells.npz"}, "cells: a, b"),
        ({"_target_": "fer_experiments.data.sources.Table", "table": "scans.csv", "root": None}, "scans: a, b"),
    ],
)  # fmt: skip
def test_a_data_set_has_the_name_that_its_user_knows(data, name):
    assert name_data_set(data, ["a", "b"]) == name


def test_many_classes_are_counted():
    assert name_data_set(FER2013, [str(number) for number in range(11)]) == "FER2013: 11 classes"


def test_the_sentence_counts_verdicts_and_no_ceiling():
    verdicts = ["helps", "hurts", "hurts", "equivalent", "undecided"]
    points = [replace(POINT, verdict=verdict) for verdict in verdicts]
    sentence = (
        "Generated images helped in 1 of 5 settings, hurt in 2, were equivalent to the best simple arm in 1, and "
    )
    assert count_verdicts([*points, replace(POINT, kind="ceiling", verdict=None)]) == f"{sentence}are undecided in 1."


def test_the_figure_tells_verdicts_by_colour_and_filling_and_arms_by_shape():
    assert len({colour for colour, _ in VERDICT_STYLES.values()}) == len(VERDICT_STYLES)
    assert len({fill for _, fill in VERDICT_STYLES.values()}) == len(VERDICT_STYLES)
    points = [
        POINT,
        replace(POINT, arm="diffusion", verdict="helps"),
        replace(POINT, augmentation="traditional"),
        replace(POINT, data_set="$pets$: cat, dog", training_images=90),
        *(replace(POINT, arm="real_images", kind="ceiling", training_images=images, low=None, high=None, verdict=None)
          for images in (8, 20)),
    ]  # fmt: skip
    figure = draw_map(points, Question())
    figure.canvas.draw()
    assert len(figure.axes) == 4
    first, second, third, empty = figure.axes
    assert not [line for line in empty.lines if line.get_marker() in ARM_MARKERS]
    markers = [(line.get_marker(), line.get_fillstyle(), line.get_color()) for line in first.lines[1:]]
    assert ("o", "bottom", VERDICT_STYLES["hurts"][0]) in markers
    assert ("s", "full", VERDICT_STYLES["helps"][0]) in markers
    assert any(line.get_linestyle() == "--" and list(line.get_xdata()) == [8, 20] for line in first.lines)
    assert [label.get_text() for label in third.get_xticklabels()] == ["90"]
    assert first.get_ylim()[0] < -3 < 0 < first.get_ylim()[1]
    assert second.get_title(loc="left") == "Digits: 3, 8\naugmentation: traditional"
    texts = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
    assert texts == {*VERDICT_STYLES, "dcgan", "diffusion", "ceiling: more real images"}


@pytest.mark.parametrize("data", ["digits", "faces", "folder"])
def test_the_experiment_composes_for_any_images(read, two_classes, data):
    root = [f"data.root={two_classes}"] if data == "folder" else []
    config = read("experiment=map", f"data={data}", *root)
    assert config.classifier.threshold == "balanced"
    assert config.train.seeds == "auto"
    arms = compose_arms(config.train.arms, config)
    assert {arm.gan.width if arm.gan else config.gan.width for arm in arms} == {32}
    assert {arm.gan.images_seen if arm.gan else config.gan.images_seen for arm in arms} == {config.gan.images_seen}
    assert [arm.name for arm in arms if arm.gan] == ["dcgan+traditional [balance.gan=recipe]"]
    assert sum(arm.balance.is_control for arm in arms) == 1


def test_the_experiment_sweeps_sizes_and_augmentations_unless_others_are_typed(compose):
    def list_values(*typed: str) -> dict[str, set[str]]:
        config = GlobalHydra.instance().hydra.compose_config(
            "config", ["experiment=map", *typed], run_mode=RunMode.MULTIRUN
        )
        pairs = [override.split("=", 1) for job in list_sweep_jobs(config) for override in job]
        return {key: {value for name, value in pairs if name == key} for key in ("data.imbalance", "augment")}

    swept = list_values()
    assert {round(900 / float(ratio)) for ratio in swept["data.imbalance"]} == {8, 20, 45, 90, 200, 818}
    assert swept["augment"] == {"none", "traditional"}
    typed = {"data.imbalance": {"2", "5"}, "augment": {"strong"}}
    assert list_values("data.imbalance=2,5", "augment=strong") == typed


@pytest.mark.parametrize("ratio", [1, 2.4, 40])
def test_the_ceiling_has_enough_real_images_where_counts_are_even(ratio):
    data = PreparedData.prepare(source("digits", counts={"3": 110, "8": 110}, imbalance=ratio), seed=0)
    labels = data.split.labels("train")
    fewest = int((labels == "3").sum())
    assert fewest == round(110 / ratio)
    assert len(draw_unused_images(data, {"3": 110 - fewest}, seed=0)) == 110 - fewest


def test_a_tiny_map_of_digits(run, tmp_path, capsys, blank_figures):
    tiny = ["experiment=map", "data=digits", "data.counts={3: 20, 8: 20}", "train.seeds=1", "classifier.epochs=1"]
    arms = 'train.arms=[none,oversample,dcgan,"dcgan [balance.gan=recipe]",real_images]'
    for augment in ("none", "traditional"):
        run(*tiny, arms, "data.imbalance=2", f"augment={augment}", folder=tmp_path / "sweep" / augment)
    assert main([str(tmp_path / "sweep"), "--out", str(tmp_path / "map")]) == 0
    table = pd.read_csv(tmp_path / "map" / "map.csv")
    assert set(table["data_set"]) == {"Digits: 3, 8"}
    assert set(table["training_images"]) == {10}
    assert table["augmentation"].tolist() == ["none"] * 3 + ["traditional"] * 3
    assert table["arm"].tolist() == ["dcgan", "dcgan [balance.gan=recipe]", "real_images"] * 2
    assert set(table["verdict"].dropna()) == {"undecided"}
