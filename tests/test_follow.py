"""KID over epochs, and the choice of a generator by it."""

import numpy as np
import pytest
import torch

from fer_experiments.data.module import ImageData
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.gan.sampling import TrainedGenerator
from fer_experiments.train.follow import Distance, FollowDistance
from fer_experiments.train.judge import find_judge

FACES = ["data.train_per_class=40", "data.test_per_class=12", "data.counts={angry: 12, happy: 20}"]
MORE = "data.valid_fraction=0.4"


def history(folder) -> list[dict[str, float]]:
    return [row for row in Result.load(folder).history if "gan/kid" in row]


@pytest.mark.parametrize("gan", ["dcgan", "conditional"])
def test_distances_are_measured_at_their_epochs_and_the_last(run, gan):
    folder = run("train=dcgan", MORE, f"gan={gan}", "gan.kid_every=2", "trainer.max_epochs=5")
    rows = history(folder)
    assert [row["epoch"] for row in rows] == [2, 4, 5]
    classes = {"angry"} if gan == "dcgan" else {"angry", "happy"}
    for row in rows:
        own = [row[f"gan/kid/{label}"] for label in classes]
        assert row["gan/kid"] == pytest.approx(np.mean(own))
    assert Result.load(folder).selected_epoch == 5


def test_following_changes_nothing_of_the_training(run, tmp_path):
    plain = run("train=dcgan", MORE, folder=tmp_path / "plain")
    followed = run("train=dcgan", MORE, "gan.kid_every=1", folder=tmp_path / "followed")
    files = [folder / "checkpoints" / "last.ckpt" for folder in (plain, followed)]
    first, second = (torch.load(file, weights_only=True)["state_dict"] for file in files)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_best_epoch_makes_the_images(run):
    folder = run("train=dcgan", MORE, "gan.kid_every=1", "gan.select=best_kid", "trainer.max_epochs=4")
    rows = history(folder)
    least = min(rows, key=lambda row: row["gan/kid"])
    assert Result.load(folder).selected_epoch == least["epoch"]
    best = TrainedGenerator.load(folder / "checkpoints" / "best.ckpt")
    made = (folder / "synthetic" / "manifest.csv").read_text()
    assert best.checkpoint_hash in made


class Falling:
    """Distances as they are given, one a call."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)

    def __call__(self, generator):
        return {"angry": self.values.pop(0)}


def test_a_later_worse_epoch_does_not_replace_the_best(run, monkeypatch):
    monkeypatch.setattr("fer_experiments.train.gan_training.Distance", lambda *given: Falling(0.3, 0.1, 0.2, 0.1))
    folder = run("train=dcgan", MORE, "gan.kid_every=1", "gan.select=best_kid", "trainer.max_epochs=4")
    assert Result.load(folder).selected_epoch == 2


def test_a_generator_of_real_images_is_nearer_than_one_of_noise(read, monkeypatch):
    config = read("train=dcgan", *FACES, MORE, "classifier.image_size=32", "gan.image_size=32")
    data = ImageData.prepare(config.data, 0)
    distance = Distance(config, data, find_judge(config, data), ["angry"])
    rows = data.split.rows("train")[data.split.labels("train") == "angry"]
    real = np.resize(data.cache.images[rows], (200, *data.cache.images.shape[1:]))
    noise = np.random.default_rng(0).integers(0, 256, real.shape, dtype=np.uint8)
    found = {}
    for name, images in (("real", real), ("noise", noise)):
        monkeypatch.setattr("fer_experiments.train.follow.sample", lambda *given, images=images: images)
        found[name] = distance(None)["angry"]
    assert found["real"] < found["noise"]


def test_the_choice_needs_a_distance(read):
    with pytest.raises(ConfigError, match=r"select=best_kid: needs a distance.*gan\.kid_every"):
        read("train=dcgan", "gan.select=best_kid")


def test_too_few_validation_images_are_named(run):
    with pytest.raises(ConfigError, match=r"gan\.kid_every=1: angry has fewer than 3 validation images"):
        run("train=dcgan", "gan.kid_every=1", "data.counts={angry: 4, happy: 20}", "data.valid_fraction=0.05")


def test_the_callback_is_silent_between(tmp_path):
    callback = FollowDistance(Falling(), 3, tmp_path / "best.ckpt")

    class Trainer:
        current_epoch, max_epochs = 0, 9

    callback.on_train_epoch_end(Trainer(), None)  # epoch 1 of 9: nothing is asked of the module
    assert callback.epoch == 0
