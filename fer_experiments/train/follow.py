"""Follow the distance of a GAN's images from real ones while it trains, and keep the best generator."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
from torch import Tensor

from fer_experiments.data.module import ImageData
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.kid import LEAST, kernel_inception_distance
from fer_experiments.gan.module import DCGAN
from fer_experiments.gan.networks import Generator
from fer_experiments.gan.sampling import sample
from fer_experiments.train.facts import GENERATED, HELD_OUT, ClassImages
from fer_experiments.train.judge import Eye

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

FIRST_SEED = 10**6  # of latent seeds that no image is made from for training
SAMPLES = 200  # of each class
NO_IMAGES = np.empty((0, 1, 1, 1), dtype=np.uint8)


class Distance:
    """KID of SAMPLES generated images of each class from its real validation images, in the features of an eye.

    Raises ConfigError where a class has too few validation images.
    """

    def __init__(self, config: Config, data: ImageData, eye: Eye, classes: list[str]) -> None:
        self.config, self.data, self.eye, self.classes = config, data, eye, classes
        counts = data.split.counts("valid")
        few = [label for label in classes if counts.get(label, 0) < LEAST]
        if few:
            raise ConfigError(
                f"gan.kid_every={config.gan.kid_every}: {', '.join(few)} has fewer than {LEAST} validation images to "
                "measure a distance from; use gan.kid_every=null, or a larger data.valid_fraction"
            )
        self.real = {label: self._features(label, HELD_OUT, NO_IMAGES) for label in classes}

    def __call__(self, generator: Generator) -> dict[str, float]:
        """{class: KID}"""
        seeds, channels = range(FIRST_SEED, FIRST_SEED + SAMPLES), self.config.data.stored_channels
        found = {}
        for place, label in enumerate(self.classes):
            images = sample(generator, seeds, channels, place if self.config.gan.conditional else None)
            found[label] = kernel_inception_distance(self.real[label], self._features(label, GENERATED, images)).value
        return found

    def _features(self, label: str, part: str, images: np.ndarray) -> Tensor:
        return ClassImages(self.data, label, images).see(part, self.eye.image_size, self.eye.features)


class FollowDistance(lightning.Callback):
    """Measure every so many epochs and after the last; `file` and `epoch` are those of the least mean over classes."""

    def __init__(self, distance: Distance, every: int, file: Path) -> None:
        self.distance, self.every, self.file = distance, every, file
        self.least, self.epoch = math.inf, 0

    def state_dict(self) -> dict[str, float]:
        return {"least": self.least, "epoch": self.epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.least, self.epoch = state_dict["least"], state_dict["epoch"]

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every and epoch != trainer.max_epochs:
            return
        assert isinstance(pl_module, DCGAN)
        found = trainer.strategy.broadcast(self.distance(pl_module.sampler))  # all are to take the same for the best
        mean = sum(found.values()) / len(found)
        values = {"gan/kid": mean, **{f"gan/kid/{label}": value for label, value in found.items()}}
        pl_module.write_history()  # this epoch's row, which else is written after the callbacks
        pl_module.history[-1] |= values
        if trainer.logger is not None:
            trainer.logger.log_metrics(values, step=pl_module.global_step // 2)
        if mean < self.least:
            self.least, self.epoch = mean, epoch
            trainer.save_checkpoint(self.file, weights_only=True)
