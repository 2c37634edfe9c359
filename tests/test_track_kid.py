"""KID over the epochs of a GAN's training, and the choice of a generator by it."""

import numpy as np
import pytest
import torch

from fer_experiments.audit.feature_extractor import build_feature_extractor
from fer_experiments.audit.reference_training import get_or_train_reference_classifier
from fer_experiments.data.prepared import PreparedData
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.gan.trained import TrainedGenerator
from fer_experiments.train.gan.track_kid import KIDToValidation, TrackKID

FACES = ["data.train_per_class=40", "data.test_per_class=12", "data.counts={angry: 12, happy: 20}"]
MORE_VALIDATION = "data.valid_fraction=0.4"


def kid_rows(folder) -> list[dict[str, float]]:
    """Return the rows of the history that have a KID."""
    return [row for row in Result.load(folder).history if "gan/kid" in row]


@pytest.mark.parametrize("gan", ["dcgan", "conditional"])
def test_kid_is_measured_every_so_many_epochs_and_after_the_last(run, gan):
    folder = run("train=dcgan", MORE_VALIDATION, f"gan={gan}", "gan.kid_every=2", "trainer.max_epochs=5")
    rows = kid_rows(folder)
    assert [row["epoch"] for row in rows] == [2, 4, 5]
    classes = {"angry"} if gan == "dcgan" else {"angry", "happy"}
    for row in rows:
        by_class = [row[f"gan/kid/{label}"] for label in classes]
        assert row["gan/kid"] == pytest.approx(np.mean(by_class))
    assert Result.load(folder).selected_epoch == 5


def test_tracking_kid_does_not_change_the_training(run, tmp_path):
    plain = run("train=dcgan", MORE_VALIDATION, folder=tmp_path / "plain")
    tracked = run("train=dcgan", MORE_VALIDATION, "gan.kid_every=1", folder=tmp_path / "tracked")
    files = [folder / "checkpoints" / "last.ckpt" for folder in (plain, tracked)]
    first, second = (torch.load(file, weights_only=True)["state_dict"] for file in files)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_generator_of_the_best_epoch_makes_the_images(run):
    folder = run("train=dcgan", MORE_VALIDATION, "gan.kid_every=1", "gan.checkpoint=best_kid", "trainer.max_epochs=4")
    rows = kid_rows(folder)
    least = min(rows, key=lambda row: row["gan/kid"])
    assert Result.load(folder).selected_epoch == least["epoch"]
    best = TrainedGenerator.load(folder / "checkpoints" / "best.ckpt")
    assert best.checkpoint_hash in (folder / "synthetic" / "manifest.csv").read_text()


class PlannedKID:
    """Stands for KIDToValidation; each call returns the next of the given values."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)

    def __call__(self, generator):
        return {"angry": self.values.pop(0)}


def test_a_later_worse_epoch_does_not_replace_the_best(run, monkeypatch):
    monkeypatch.setattr(
        "fer_experiments.train.gan.fit.KIDToValidation", lambda *arguments: PlannedKID(0.3, 0.1, 0.2, 0.1)
    )
    folder = run("train=dcgan", MORE_VALIDATION, "gan.kid_every=1", "gan.checkpoint=best_kid", "trainer.max_epochs=4")
    assert Result.load(folder).selected_epoch == 2


def test_the_chosen_epoch_knows_the_classes(run, monkeypatch):
    planned = PlannedKID(0.1, 0.2, 0.3, 0.5, 0.4)
    monkeypatch.setattr("fer_experiments.train.gan.fit.KIDToValidation", lambda *arguments: planned)
    keys = ["gan=conditional", "gan.transition=[0.2,0.6]", "gan.kid_every=1", "gan.checkpoint=best_kid"]
    folder = run("train=dcgan", MORE_VALIDATION, *keys, "trainer.max_epochs=5")
    assert len(kid_rows(folder)) == 5  # the pruner compares all
    assert Result.load(folder).selected_epoch == 5
    assert TrainedGenerator.load(folder / "checkpoints" / "best.ckpt").generator.class_influence == 1


def test_the_chosen_epoch_has_been_measured(run, monkeypatch):
    planned = PlannedKID(0.1, 0.2)  # of epochs 3 and 5; the transition ends with epoch 3
    monkeypatch.setattr("fer_experiments.train.gan.fit.KIDToValidation", lambda *arguments: planned)
    keys = ["gan=conditional", "gan.transition=[0.2,0.6]", "gan.kid_every=3", "gan.checkpoint=best_kid"]
    folder = run("train=dcgan", MORE_VALIDATION, *keys, "trainer.max_epochs=5")
    assert Result.load(folder).selected_epoch == 5


def test_real_images_have_a_smaller_kid_than_noise(read, monkeypatch):
    config = read("train=dcgan", *FACES, MORE_VALIDATION, "classifier.image_size=32", "gan.image_size=32")
    data = PreparedData.prepare(config.data, 0)
    reference = get_or_train_reference_classifier(config.audit_settings, data)
    extractor = build_feature_extractor(config.audit_settings, reference)
    distance = KIDToValidation(config.gan, data, extractor, ["angry"])
    rows = data.split.rows("train")[data.split.labels("train") == "angry"]
    real = np.resize(data.cache.images[rows], (200, *data.cache.images.shape[1:]))
    noise = np.random.default_rng(0).integers(0, 256, real.shape, dtype=np.uint8)
    kid = {}
    for name, images in (("real", real), ("noise", noise)):
        monkeypatch.setattr("fer_experiments.train.gan.track_kid.sample", lambda *arguments, images=images: images)
        kid[name] = distance(None)["angry"]
    assert kid["real"] < kid["noise"]


def test_the_choice_of_an_epoch_needs_kid(read):
    with pytest.raises(ConfigError, match=r"checkpoint=best_kid: needs KID to be measured.*gan\.kid_every"):
        read("train=dcgan", "gan.checkpoint=best_kid")


def test_too_few_validation_images_are_named(run):
    with pytest.raises(ConfigError, match=r"gan\.kid_every=1: angry has fewer than 3 validation images"):
        run("train=dcgan", "gan.kid_every=1", "data.counts={angry: 4, happy: 20}", "data.valid_fraction=0.05")


def test_kid_is_not_measured_in_the_epochs_between():
    callback = TrackKID(PlannedKID(), 3)

    class Trainer:
        current_epoch, max_epochs = 0, 9

    callback.on_train_epoch_end(Trainer(), None)  # epoch 1 of 9: neither the module nor a planned value is used
