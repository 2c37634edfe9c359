"""train=evaluate: the numbers of training itself on other images, without any that the classifier was trained on."""

import html
import json
import logging
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fer_experiments.data.leak import leak_to_selection
from fer_experiments.data.prepared import PreparedData
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.evaluation_result import EvaluationResult, InternalTest, compute_intervals
from fer_experiments.evaluation.metrics import classification_metrics
from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.evaluation.result import Result
from fer_experiments.report.__main__ import main as report
from fer_experiments.report.collect import collect
from fer_experiments.report.evaluation_page import (
    build_class_rows,
    describe_accuracy,
    describe_balanced_accuracy,
    describe_evaluation,
)
from fer_experiments.runs.training_files import find_parts
from fer_experiments.train.run_evaluation import prepare_images
from fer_experiments.trainer.callbacks.checkpoints import find_checkpoint, read_epoch
from tests.conftest import source, write_images
from tests.test_jobs import tags
from tests.test_predict import PLAIN, PLAIN_OVERRIDES, RUNS


@pytest.fixture
def train(run, two_classes, tmp_path):
    """train(*overrides) -> the folder of a classifier of cats and dogs."""

    def finished(*overrides):
        job = [] if any(override.startswith("train=") for override in overrides) else ["train=cnn"]
        return run(
            *job,
            "data=folder",
            "experiment=quick",
            f"data.root={two_classes}",
            *overrides,
            folder=tmp_path / "training",
        )

    return finished


@pytest.fixture
def evaluate(run, two_classes, tmp_path):
    """evaluate(training, *overrides) -> folder and result of an evaluation; by default on the data of the training."""

    def finished(training, *overrides, folder=tmp_path / "evaluation"):
        keys = {override.split("=")[0] for override in overrides}
        root = [] if "data.root" in keys else [f"data.root={two_classes}"]
        run("train=evaluate", f"checkpoint={training}", "data=folder", *root, *overrides, folder=folder)
        return folder, EvaluationResult.load(folder)

    return finished


def page_of(folder) -> str:
    """Return the text of report.html."""
    text = re.sub(r"<[^>]*>", "", (folder / "report.html").read_text().split("<main>")[1])
    return re.sub(r"\s+", " ", html.unescape(text))


@pytest.mark.parametrize("overrides", [*RUNS.values(), ["train=joint", "gan.image_size=32"]], ids=[*RUNS, "joint"])
def test_a_runs_own_data_give_exactly_the_metrics_of_its_result(train, evaluate, overrides):
    training = train(*overrides)
    folder, evaluation = evaluate(training)
    result = Result.load(training)
    assert evaluation.test == result.metrics["test"]
    np.testing.assert_array_equal(Predictions.load(folder, "test").logits, Predictions.load(training, "test").logits)
    assert (folder / "split.csv").read_bytes() == (training / "split.csv").read_bytes()
    assert evaluation.has_training_split
    assert evaluation.is_internal
    parts = pd.read_csv(training / "split.csv")["split"].value_counts()
    assert evaluation.overlap == {part: parts[part] for part in ("train", "valid", "test")}
    assert evaluation.internal_test.arm == result.arm
    for name, value in evaluation.internal_test.metrics.items():
        assert value == pytest.approx(result.metrics["test"][name]), name
    assert "all of them test images of the classifier's training" in page_of(folder)


def test_images_of_the_training_are_left_out_wherever_they_lie_now(train, evaluate, two_classes, tmp_path, caplog):
    training = train()
    used = pd.read_csv(training / "split.csv").query("split != 'test'")
    for number, (path, label) in enumerate(zip(used["path"], used["label"], strict=True)):
        target = tmp_path / "mine" / label / f"{number}.bmp"  # the same pixels in another file
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(two_classes / path).save(target)
    root = f"data.root={tmp_path}/mine"
    with pytest.raises(ConfigError, match=rf"data: all of its images are among the {len(used)} that .* by; give"):
        evaluate(training, root)
    write_images(tmp_path / "mine" / "cat", 4, size=(40, 30), seed=9)
    with caplog.at_level(logging.INFO):
        folder, evaluation = evaluate(training, root, folder=tmp_path / "second")
    counts = used["split"].value_counts()
    assert evaluation.overlap == {"train": counts["train"], "valid": counts["valid"], "test": 0}
    assert evaluation.counts == {"cat": 4, "dog": 0}
    assert not evaluation.has_training_split
    assert f"left out: {counts['train']} images that the classifier was trained on, {counts['valid']} by" in caplog.text
    assert f"{counts['train']} were left out because the classifier was trained on them" in page_of(folder)
    measured = pd.read_csv(folder / "split.csv").query("split == 'test'")
    assert list(measured["content_hash"]) == list(Predictions.load(folder, "test").content_hash)


def test_without_the_trainings_files_it_says_what_could_not_be_checked(train, evaluate, tmp_path, caplog):
    training = train()
    (tmp_path / "alone" / "checkpoints").mkdir(parents=True)
    shutil.copy(training / "checkpoints" / "best.ckpt", tmp_path / "alone" / "checkpoints")
    (tmp_path / "alone" / "split.csv").write_text("path,label,split,content_hash\n")  # of another training
    folder, evaluation = evaluate(tmp_path / "alone" / "checkpoints" / "best.ckpt")
    assert evaluation.overlap is None
    assert evaluation.internal_test is None
    assert evaluation.test["images"] == 12 + 20
    assert "no split.csv of the training lies beside or above" in caplog.text
    assert "It could not be checked whether the classifier was trained on some of these images" in page_of(folder)


def test_a_result_of_another_epoch_is_not_compared(train, evaluate):
    training = train()
    result = Result.load(training)
    result.model_copy(update={"selected_epoch": 99}).save(training)
    assert evaluate(training / "checkpoints" / "best.ckpt")[1].internal_test is None


@pytest.mark.parametrize("chosen", ["best", "last"])
def test_the_folder_of_a_training_stands_for_the_checkpoint_that_its_result_measures(train, chosen):
    training = train(f"classifier.checkpoint={chosen}")
    epochs = {name: read_epoch(training / "checkpoints" / f"{name}.ckpt") for name in ("best", "last")}
    assert read_epoch(find_checkpoint(training)) == epochs[chosen]
    result = Result.load(training)
    for name, epoch in epochs.items():  # also where the other one is of another epoch
        result.model_copy(update={"selected_epoch": epoch}).save(training)
        assert read_epoch(find_checkpoint(training)) == epoch, name
    (training / "checkpoints" / f"{'best' if chosen == 'last' else 'last'}.ckpt").write_bytes(b"damaged")
    result.model_copy(update={"selected_epoch": epochs[chosen]}).save(training)
    assert find_checkpoint(training).stem == chosen
    result.model_copy(update={"selected_epoch": 99}).save(training)
    with pytest.raises(ConfigError, match="has no checkpoint of epoch 99, which its result"):
        find_checkpoint(training)


def test_the_folder_of_a_study_is_refused_with_that_of_an_arm(evaluate, tmp_path):
    study = tmp_path / "study"
    for name in ("gan", "none"):
        (study / "seed_0" / name / "checkpoints").mkdir(parents=True)
    with pytest.raises(
        ConfigError, match=r"^checkpoint=.*study: has no result\.json .*such as .*study/seed_0/none, or"
    ):
        evaluate(study)
    with pytest.raises(ConfigError, match=r"give the folder of a finished training, or a checkpoint"):
        evaluate(tmp_path, folder=tmp_path / "second")
    with pytest.raises(ConfigError, match=r"study: has no result\.json .*such as .*study/seed_0/gan, or"):
        find_checkpoint(study, generator=True)


def test_classes_that_the_classifier_does_not_know_are_refused_with_the_remedies(train, evaluate, tmp_path):
    training = train()
    for seed, name in enumerate(("Cats", "dog", "owl")):
        write_images(tmp_path / "other" / name, 3, seed=10 + seed)
    message = (
        r"does not know Cats, owl; the data has Cats, dog, owl; the classifier knows cat, dog; measure the others "
        r"alone with data\.classes=\[dog\], or say .* with data\.rename='\{Cats: cat, owl: CLASS\}'"
    )
    with pytest.raises(ConfigError, match=message):
        evaluate(training, f"data.root={tmp_path}/other")
    overrides = [f"data.root={tmp_path}/other", "data.rename={Cats: cat, owl: cat}"]
    _, evaluation = evaluate(training, *overrides, folder=tmp_path / "second")
    assert evaluation.counts == {"cat": 6, "dog": 3}
    assert evaluation.data == f"data=folder data.root={tmp_path}/other data.rename={{Cats: cat, owl: cat}}"


def test_a_subset_of_the_classes_is_measured_without_nan(train, evaluate):
    training = train()
    folder, evaluation = evaluate(training, "data.classes=[dog]")
    assert "NaN" not in (folder / "evaluation.json").read_text()
    assert evaluation.present == ["dog"]
    recall = evaluation.test["recall"]
    assert recall["cat"] is None
    assert evaluation.test["balanced_accuracy"] == evaluation.test["accuracy"] == pytest.approx(recall["dog"])
    both = dict.fromkeys(("accuracy", "balanced_accuracy"), recall["dog"])
    assert evaluation.internal_test.metrics == pytest.approx(both)
    low, high = evaluation.intervals["balanced_accuracy"]
    assert 0 <= low <= recall["dog"] <= high <= 1
    assert "There are no images of cat: the scores are of the other classes alone" in page_of(folder)


def test_it_leaves_the_files_of_the_design(train, evaluate, tmp_path):
    training = train()
    write_images(tmp_path / "new" / "cat", 5, seed=8)
    write_images(tmp_path / "new" / "dog", 6, seed=9)
    folder, evaluation = evaluate(training, f"data.root={tmp_path}/new", "train.level=0.9")
    names = (
        "config.yaml",
        "split.csv",
        "data.json",
        "predictions.npz",
        "evaluation.json",
        "report.html",
        "status.json",
    )
    assert all((folder / name).is_file() for name in names)
    assert Image.open(folder / "confusion_matrix.png").width > 100
    assert "test/confusion_matrix" in tags(folder)["images"]
    page = (folder / "report.html").read_text()
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    for text in (
        describe_balanced_accuracy(evaluation),
        describe_accuracy(evaluation),
        str(training / "checkpoints" / "best.ckpt"),
        evaluation.checkpoint_sha256,
        "none, seed 0",
        "most often taken for",
    ):
        assert text in page_of(folder), text


@pytest.mark.parametrize(
    ("reference", "distance"), [(0.75, "12.5 points below"), (0.5, "12.5 points above"), (0.625, "equal to")]
)
def test_the_answer_says_how_far_it_is_from_the_test_of_the_training(reference, distance):
    internal = InternalTest(
        arm="none", seed=0, images=1200, recall={}, metrics={"accuracy": 0.8, "balanced_accuracy": reference}
    )
    logits = torch.eye(2)[[0, 1, 0, 0, 0, 1]] * 4
    labels = torch.tensor([0, 0, 0, 0, 1, 1])  # recalls 3/4 and 1/2
    evaluation = EvaluationResult(
        checkpoint="best.ckpt",
        checkpoint_sha256="",
        data="data=folder",
        classes=["cat", "dog"],
        metrics={"test": classification_metrics(logits, labels, ["cat", "dog"])},
        level=0.95,
        intervals=compute_intervals(logits.argmax(1).numpy(), labels.numpy(), 0.95),
        overlap=None,
        split_hash="a",
        training_split_hash="b",
        internal_test=internal,
        seconds=1.0,
        device="cpu",
        precision="fp32",
    )
    assert re.fullmatch(
        rf"Balanced accuracy 62\.5% \(95% interval .* to .*\) on 6 images, {distance} the {reference:.1%} on the 1,200 "
        r"test images of its training\. Accuracy 66\.7% \(95% interval .* to .*\)\.",
        describe_evaluation(evaluation),
    )
    rows = build_class_rows(evaluation)
    assert [(row.name, row.images, row.recall, row.precision, row.mistake) for row in rows] == [
        ("cat", 4, "75.0%", "75.0%", "dog (25%)"),
        ("dog", 2, "50.0%", "50.0%", "cat (50%)"),
    ]


def test_near_duplicates_count_as_one_image_in_the_intervals():
    labels = np.arange(40) % 2
    predicted = np.where(np.arange(40) < 30, labels, 1 - labels)
    alone, copied, clustered = (
        compute_intervals(np.repeat(predicted, times), np.repeat(labels, times), 0.95, clusters)["balanced_accuracy"]
        for times, clusters in ((1, None), (4, None), (4, np.repeat(np.arange(40), 4)))
    )
    assert clustered == pytest.approx(alone, abs=0.02)
    assert copied[1] - copied[0] < 0.6 * (alone[1] - alone[0])


def test_a_report_of_other_runs_leaves_evaluations_out(train, evaluate, tmp_path, capsys):
    evaluate(train())
    record = collect([tmp_path])
    assert [(result.arm, record.problems) for result in record.results] == [("none", [])]
    assert record.unfinished_trainings() == []
    assert report([str(tmp_path / "evaluation")]) == 2
    error = capsys.readouterr().err
    assert "no classifier was trained in" in error
    assert "a run of train=evaluate has its own report.html" in error


def test_test_images_that_chose_the_epoch_of_a_leaking_arm_are_left_out(two_classes, tmp_path):
    data = PreparedData.prepare(source("folder", root=two_classes), 0)
    data.split.save(tmp_path / "split.csv")
    checkpoint = tmp_path / "seed_0" / "none_leak" / "checkpoints" / "best.ckpt"
    counts = pd.Series(find_parts(checkpoint, leak_to_selection(data).split.hash)).value_counts()
    assert counts.to_dict() == {"train": len(data.split.rows("train")), "valid": 32 - len(data.split.rows("train"))}


def test_a_users_network_is_measured_only_if_the_configuration_names_it(train, evaluate, tmp_path):
    training = train(*PLAIN_OVERRIDES)
    with pytest.raises(
        ConfigError, match=rf"is {PLAIN}, code that .*; if you trust it, add classifier\.network\._targe"
    ):
        evaluate(training)
    _, evaluation = evaluate(training, *PLAIN_OVERRIDES, folder=tmp_path / "second")
    assert evaluation.test == Result.load(training).metrics["test"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["train=evaluate"],
            r"checkpoint=null: train=evaluate measures a trained classifier; give checkpoint=multirun/",
        ),
        (
            ["train=cnn", "checkpoint=a.ckpt"],
            r"checkpoint=a\.ckpt: is the classifier that train=evaluate measures, and",
        ),
        (["checkpoint=a.ckpt"], r"give train=evaluate \(ckpt_path, with which a training begins, is another key\)"),
    ],
)
def test_the_checkpoint_and_the_job_must_fit(read, overrides, message):
    with pytest.raises(ConfigError, match=message):
        read(*overrides)


def test_a_file_that_is_no_classifier_stops_before_any_data_is_read(run, tmp_path):
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(ConfigError, match=r"text\.ckpt: is not a checkpoint of weights alone"):
        run("train=evaluate", f"checkpoint={tmp_path}/text.ckpt", "data=folder", f"data.root={tmp_path}/none")


@pytest.mark.parametrize("override", ["data.imbalance=10.0", "data.test_counts={angry: 5, happy: 5}"])
def test_keys_that_choose_images_are_refused(read, override):
    config = read("train=evaluate", "checkpoint=a.ckpt", override)
    with pytest.raises(
        ConfigError, match=r"data\.(imbalance|test_counts)=.*: train=evaluate measures every image; leave"
    ):
        config.train.check(config)


def test_a_search_has_nothing_to_maximize(read):
    config = read("train=evaluate", "checkpoint=a.ckpt")
    with pytest.raises(ConfigError, match=r"hydra/sweeper: train=evaluate has nothing to maximize: .*; use train=cnn"):
        config.train.check_objective(config)


def test_evaluation_json_is_what_the_page_is_made_from(train, evaluate):
    folder, evaluation = evaluate(train())
    content = json.loads((folder / "evaluation.json").read_text())
    assert EvaluationResult.model_validate(content) == evaluation


def test_dark_images_of_twelve_bits_are_measured_as_bright_as_those_of_the_training(tmp_path):
    for label, top in (("cat", 500), ("dog", 300)):
        (tmp_path / "new" / label).mkdir(parents=True)
        for number in range(3):
            values = np.full((8, 8), top + number, np.uint16)
            Image.fromarray(values).save(tmp_path / "new" / label / f"{number}.png")
    keys = {"channels": 1, "stored_channels": 1, "cached_size": 8, "bottleneck": None, "classes": ("cat", "dog")}
    data = source("folder", root=tmp_path / "new", white_level=600)
    peaks = [prepare_images(data, SimpleNamespace(white_level=level, **keys), {}).cache.images.max()
             for level in (4095.0, None)]  # fmt: skip
    assert peaks == [round(502 / 4095 * 255), round(502 / 600 * 255)]
