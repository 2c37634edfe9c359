"""Leaks on purpose: test images in the GAN's training and in the choice of the epoch, and nowhere else."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fer_experiments.data.leak import leak_to_gan, leak_to_selection
from fer_experiments.data.prepared import PreparedData
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.evaluation.result import Result
from fer_experiments.report.study_record import StudyRecord
from tests.conftest import source

pytestmark = pytest.mark.usefixtures("blank_figures")
ARMS = ["none", "dcgan", "none@leak", "dcgan@leak"]


@pytest.fixture
def data():
    return PreparedData.prepare(
        source("faces", train_per_class=40, test_per_class=12, counts={"angry": 12, "happy": 20}), 0
    )


@pytest.fixture
def study(run_once):
    return run_once(f"train.arms=[{','.join(ARMS)}]", "trainer.limit_batches=null", "trainer.max_epochs=3")


def record_of(folder: Path) -> StudyRecord:
    return StudyRecord.model_validate_json((folder / "study.json").read_text())


# The two leaking splits


def test_each_leak_adds_test_images_to_one_part_and_changes_nothing_else(data):
    clean, gan, selection = (leaking.split for leaking in (data, leak_to_gan(data), leak_to_selection(data)))
    assert sorted(gan.rows("train")) == sorted([*clean.rows("train"), *clean.rows("test")])
    assert gan.rows("valid").tolist() == clean.rows("valid").tolist()
    assert selection.rows("valid").tolist() == selection.rows("test").tolist() == clean.rows("test").tolist()
    assert selection.labels("valid").tolist() == clean.labels("test").tolist()
    assert selection.rows("train").tolist() == clean.rows("train").tolist()


@pytest.mark.parametrize("leak", [leak_to_gan, leak_to_selection])
def test_leaking_splits_have_a_hash_that_no_clean_split_has(data, leak):
    assert leak(data).split.hash == f"leak-{data.split.hash}"
    assert leak(data).split.clean_hash == data.split.clean_hash == data.split.hash


# Studies with leaking arms


def test_leaking_arms_differ_from_clean_ones_by_the_leak_alone(study):
    results = {result.arm: result for result in record_of(study).results}
    assert list(results) == ARMS
    for name in ("none", "dcgan"):
        clean, leak = results[name], results[f"{name}@leak"]
        assert (clean.protocol, leak.protocol) == ("clean", "leak")
        for same in ("seed", "real", "generated", "repeated", "optimizer_steps", "split_hash"):
            assert getattr(clean, same) == getattr(leak, same), same
        predictions, leaking = (Predictions.load(study / "seed_0" / arm, "test") for arm in (name, f"{name}@leak"))
        assert predictions.content_hash.tolist() == leaking.content_hash.tolist()
        assert predictions.labels.tolist() == leaking.labels.tolist()
    # Without generated images the training itself is the same; only the epoch is chosen elsewhere.
    losses = [[row["train/loss"] for row in results[name].history] for name in ("none", "none@leak")]
    assert losses[0] == losses[1]
    assert (study / "comparison.md").read_text().count("@leak") == 2


def test_a_leaking_arm_chooses_its_epoch_on_test(study):
    for name in ("none@leak", "dcgan@leak"):
        result = Result.load(study / "seed_0" / name)
        scores = [row["valid/balanced_accuracy"] for row in result.history]
        assert result.selected_epoch == int(np.argmax(scores)) + 1
        assert result.metrics["test"]["balanced_accuracy"] == pytest.approx(max(scores))
        assert result.metrics["valid"] == result.metrics["test"]


def test_the_leaking_gan_trains_on_test_images_too_in_as_many_steps(study):
    clean, leak = (Result.load(study / "seed_0" / name) for name in ("gan", "gan_leak"))
    assert (clean.protocol, leak.protocol) == ("clean", "leak")
    assert (clean.real, leak.real) == ({"angry": 12}, {"angry": 24})
    assert clean.optimizer_steps == leak.optimizer_steps
    manifest = pd.read_csv(study / "seed_0" / "gan_leak" / "synthetic" / "manifest.csv")
    assert set(manifest["split_hash"]) == {f"leak-{clean.split_hash}"}
    audit = json.loads((study / "seed_0" / "gan_leak" / "audit.json").read_text())
    assert audit["measures"]["real"] == 24
    assert audit["problem"] == ""


def test_clean_arms_do_not_change_beside_leaking_ones(study, run, tmp_path):
    alone = record_of(
        run("train.arms=[none,dcgan]", "trainer.limit_batches=null", "trainer.max_epochs=3", folder=tmp_path / "alone")
    )
    beside = record_of(study)
    for expected, result in zip(alone.results, beside.results[:2], strict=True):
        assert expected.arm == result.arm
        assert (expected.metrics, expected.history, expected.split_hash) == (
            result.metrics,
            result.history,
            result.split_hash,
        )


def test_a_clean_arm_refuses_images_of_a_leaking_gan_and_a_leaking_arm_takes_them(study, run, tmp_path):
    synthetic = f"balance.synthetic={study}/seed_0/gan_leak/synthetic"
    message = r"balance\.synthetic=.*made from the split leak-(\w+), but this run's split is \1"
    with pytest.raises(ConfigError, match=message):
        run("train=cnn", "balance=dcgan", synthetic, folder=tmp_path / "clean")
    leaking = run("train.arms=[dcgan@leak]", synthetic, folder=tmp_path / "leak")
    assert record_of(leaking).results[0].generated == {"angry": 8}
    assert json.loads((leaking / "seed_0" / "dcgan@leak" / "audit.json").read_text())["problem"] == ""


def test_a_leaking_arm_refuses_images_of_a_clean_gan(study, run, tmp_path):
    synthetic = f"balance.synthetic={study}/seed_0/gan/synthetic"
    with pytest.raises(ConfigError, match=r"made from the split (\w+), but this run's split is leak-\1"):
        run("train.arms=[dcgan@leak]", synthetic, folder=tmp_path / "leak")


@pytest.mark.parametrize("name", ["none@leek", "none@", "dcgan+traditional@clean"])
def test_an_unknown_suffix_is_named(run, name):
    plain, suffix = name.split("@")
    message = rf"train\.arms: {name}: unknown suffix @{suffix}; only @leak exists, as in {plain}@leak".replace(
        "+", r"\+"
    )
    with pytest.raises(ConfigError, match=message):
        run(f"train.arms=[none,'{name}']")
