"""Images are drawn from a GAN until enough of them are accepted."""

import logging

import numpy as np
import pandas as pd
import pytest

from fer_experiments.audit.rejection import Rejection
from fer_experiments.balance import Strategy
from fer_experiments.data.faults import FAULTS
from fer_experiments.data.synthetic import SCORES, read_synthetic
from fer_experiments.errors import ConfigError
from fer_experiments.gan.networks import Generator
from fer_experiments.gan.trained import TrainedGenerator
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.train.gan.rejection_sampling import BATCH_SIZE, MAX_DRAWS, draw_images

MEMORISED = Rejection(("memorised",), ("memorised",))
SPLIT = "0123456789abcdef"


@pytest.fixture(scope="module")
def trained() -> TrainedGenerator:
    return TrainedGenerator(Generator(4, 2, 1, 32).eval(), ("cat",), False, SPLIT, "checkpoint", 1)


class Scorer:
    """Scores one of `every` images as memorised and the next one as off_class; `images` counts all of them."""

    def __init__(self, every: int) -> None:
        self.every, self.images = every, 0

    def __call__(self, images: np.ndarray) -> pd.DataFrame:
        places = (np.arange(len(images)) + self.images) % self.every
        self.images += len(images)
        table = pd.DataFrame({name: np.full(len(images), 0.5) for name in SCORES})
        flags = {"memorised": places == 0, "off_class": places == 1, "low_quality": False}
        return table.assign(**flags)


def manifest(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)


def test_without_a_scorer_the_first_images_are_taken(trained, tmp_path):
    assert draw_images(trained, {"cat": 5}, tmp_path, Rejection(), None) == {"cat": 5}
    assert manifest(tmp_path)["seed"].tolist() == ["0", "1", "2", "3", "4"]


def test_images_are_drawn_until_enough_are_accepted(trained, tmp_path, caplog):
    scorer = Scorer(2)  # half are memorised
    caplog.set_level(logging.INFO)
    assert draw_images(trained, {"cat": 100}, tmp_path, MEMORISED, lambda label: scorer) == {"cat": 100}
    rows = manifest(tmp_path)
    accepted = rows[~rows["faults"].str.contains("memorised")]
    assert 100 <= len(accepted) <= len(rows) == scorer.images < 100 * MAX_DRAWS
    assert (rows["file"] != "").sum() == len(accepted) == len(list((tmp_path / "cat").iterdir()))
    synthetic = read_synthetic(tmp_path, {"cat": 100}, SPLIT, 1, ["memorised"])
    expected = trained.sample([int(seed) for seed in accepted["seed"][:100]], "cat")
    np.testing.assert_array_equal(synthetic.images, expected)
    rejected = f"50% rejected: {scorer.images // 2} memorised"
    assert f"of {scorer.images} images accepted ({rejected}); 100 are needed" in caplog.text


def test_drawing_ends_with_the_rate_of_rejection_if_all_images_are_copies(trained, tmp_path, caplog):
    scorer = Scorer(1)
    assert draw_images(trained, {"cat": 10}, tmp_path, MEMORISED, lambda label: scorer) == {"cat": 0}
    assert 10 * MAX_DRAWS <= scorer.images < 10 * MAX_DRAWS + BATCH_SIZE
    assert "0 of 256 images accepted (100% rejected" in caplog.text
    with pytest.raises(ConfigError, match=r"has 0 images of cat, 10 are needed; balance\.reject=\['memorised'\] lets"):
        read_synthetic(tmp_path, {"cat": 10}, SPLIT, 1, ["memorised"])


def test_an_arm_may_keep_the_images_that_another_drops(trained, tmp_path):
    draw_images(trained, {"cat": 20}, tmp_path, Rejection(("memorised", "off_class"), ()), lambda label: Scorer(4))
    everything = manifest(tmp_path)
    assert (everything["file"] != "").all()
    read_synthetic(tmp_path, {"cat": 20}, SPLIT, 1, ["memorised", "off_class"])
    np.testing.assert_array_equal(
        read_synthetic(tmp_path, {"cat": 20}, SPLIT, 1).images, trained.sample(range(20), "cat")
    )


def test_arms_share_the_faults_that_any_and_that_all_of_them_reject(read):
    def arm(*settings: str) -> Strategy:
        return read("train=cnn", "balance=dcgan", *settings).balance

    off_class, every, none = arm("balance.reject=[off_class]"), arm(f"balance.reject=[{','.join(FAULTS)}]"), arm()
    assert Rejection.from_strategies([off_class, every]) == Rejection(FAULTS, ("off_class",))
    assert Rejection.from_strategies([off_class, none]) == Rejection(("off_class",), ())
    assert Rejection.from_strategies([read("train=cnn", "balance=oversample").balance]) == Rejection()


def test_an_unknown_fault_is_refused(read):
    with pytest.raises(ConfigError, match=r"balance\.reject\[0\]='ugly'.*'memorised', 'off_class' or 'low_quality'"):
        read("train=cnn", "balance=dcgan", "balance.reject=[ugly]")


@pytest.mark.usefixtures("blank_figures")
def test_arms_with_and_without_rejection_share_a_gan(run):
    names = ["dcgan", "dcgan [balance.reject=[low_quality]]"]
    study = run("train.arms=[none," + ",".join(f'"{name}"' for name in names) + "]", "data.train_per_class=80")
    record = StudyRecord.load(study)
    rows = manifest(study / "seed_0" / "gan" / "synthetic")
    assert (rows[SCORES] != "").all(axis=None)
    accepted = (~rows["faults"].str.contains("low_quality")).sum()
    if accepted >= 8:  # a generator of a few steps may make no image that is like a face
        assert not record.failed
        assert [result.generated for result in record.results] == [{}, {"angry": 8}, {"angry": 8}]
    else:
        assert "balance.reject=['low_quality'] lets through no more of the" in str(record.failed)
