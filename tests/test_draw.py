"""Drawing from a GAN until enough images are accepted."""

import logging

import numpy as np
import pandas as pd
import pytest

from fer_experiments.balance import Strategy
from fer_experiments.data.synthetic import FAULTS, SCORES, read_synthetic
from fer_experiments.errors import ConfigError
from fer_experiments.gan.networks import Generator
from fer_experiments.gan.sampling import TrainedGenerator
from fer_experiments.report.study import StudyRecord
from fer_experiments.train.draw import AT_ONCE, MOST_DRAWS, Rejection, draw_images

MEMORISED = Rejection(("memorised",), ("memorised",))
SPLIT = "0123456789abcdef"


@pytest.fixture(scope="module")
def trained() -> TrainedGenerator:
    return TrainedGenerator(Generator(4, 2, 1, 32).eval(), ("cat",), SPLIT, "checkpoint", 1)


class Scorer:
    """One of `every` images is memorised, and the next to it off_class; counts what it saw."""

    def __init__(self, every: int, seen: int = 0) -> None:
        self.every, self.seen = every, seen

    def __call__(self, images: np.ndarray) -> pd.DataFrame:
        places = (np.arange(len(images)) + self.seen) % self.every
        self.seen += len(images)
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
    assert 100 <= len(accepted) <= len(rows) == scorer.seen < 100 * MOST_DRAWS
    assert (rows["file"] != "").sum() == len(accepted) == len(list((tmp_path / "cat").iterdir()))
    read = read_synthetic(tmp_path, {"cat": 100}, SPLIT, 1, ["memorised"])
    wanted = trained.sample([int(seed) for seed in accepted["seed"][:100]], "cat")
    np.testing.assert_array_equal(read.images, wanted)
    assert (
        f"of {scorer.seen} images accepted (50% rejected: {scorer.seen // 2} memorised); 100 are needed" in caplog.text
    )


def test_a_gan_that_only_copies_is_given_up_on_with_the_rate(trained, tmp_path, caplog):
    scorer = Scorer(1)
    assert draw_images(trained, {"cat": 10}, tmp_path, MEMORISED, lambda label: scorer) == {"cat": 0}
    assert 10 * MOST_DRAWS <= scorer.seen < 10 * MOST_DRAWS + AT_ONCE
    assert "0 of 256 images accepted (100% rejected" in caplog.text
    with pytest.raises(ConfigError, match=r"has 0 images of cat, 10 are needed; balance\.reject=\['memorised'\] lets"):
        read_synthetic(tmp_path, {"cat": 10}, SPLIT, 1, ["memorised"])


def test_what_one_arm_drops_another_may_keep(trained, tmp_path):
    draw_images(trained, {"cat": 20}, tmp_path, Rejection(("memorised", "off_class"), ()), lambda label: Scorer(4))
    everything = manifest(tmp_path)
    assert (everything["file"] != "").all()
    read_synthetic(tmp_path, {"cat": 20}, SPLIT, 1, ["memorised", "off_class"])
    np.testing.assert_array_equal(
        read_synthetic(tmp_path, {"cat": 20}, SPLIT, 1).images, trained.sample(range(20), "cat")
    )


def test_the_rejection_of_arms_is_what_some_and_what_all_of_them_ask(read):
    def arm(*settings: str) -> Strategy:
        return read("train=cnn", "balance=dcgan", *settings).balance

    one, both, none = arm("balance.reject=[off_class]"), arm(f"balance.reject=[{','.join(FAULTS)}]"), arm()
    assert Rejection.of([one, both]) == Rejection(FAULTS, ("off_class",))
    assert Rejection.of([one, none]) == Rejection(("off_class",), ())
    assert Rejection.of([read("train=cnn", "balance=oversample").balance]) == Rejection()


def test_an_unknown_fault_is_refused(read):
    with pytest.raises(ConfigError, match=r"balance\.reject\.0='ugly'.*'memorised', 'off_class' or 'low_quality'"):
        read("train=cnn", "balance=dcgan", "balance.reject=[ugly]")


def test_arms_with_and_without_rejection_share_a_gan(run):
    names = ["dcgan", "dcgan [balance.reject=[low_quality]]"]
    study = run("train.arms=[none," + ",".join(f'"{name}"' for name in names) + "]", "data.train_per_class=80")
    record = StudyRecord.load(study)
    rows = manifest(study / "seed_0" / "gan" / "synthetic")
    assert (rows[SCORES] != "").all(axis=None)
    fine = (~rows["faults"].str.contains("low_quality")).sum()
    if fine >= 8:  # a generator of a few steps may make none that is like a face
        assert not record.failed
        assert [result.generated for result in record.results] == [{}, {"angry": 8}, {"angry": 8}]
    else:
        assert "balance.reject=['low_quality'] lets through no more of the" in str(record.failed)
