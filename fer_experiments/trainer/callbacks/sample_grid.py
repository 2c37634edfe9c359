"""Grids of a GAN's samples from fixed noise, as PNG files and in every logger (Figure 5 of Surono et al. 2023)."""

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torchvision.utils import make_grid, save_image

from fer_experiments.atomic_write import atomic_write
from fer_experiments.gan.sampling import sample
from fer_experiments.trainer.loggers.pictures import log_picture

GRID_IMAGES, GRID_COLUMNS = 64, 8
MANY_CLASSES, IMAGES_OF_MANY, MANY_COLUMNS = 16, 4, 20  # of more classes 4 images each, those of 5 classes in a row


class SampleGrid(lightning.Callback):
    """Write samples/epoch_0100.png at the given epochs (counted from 1) and after the last one.

    The grid of a conditional GAN has as many images of each class, all from the same noise.
    """

    def __init__(self, folder: Path, epochs: list[int], stored_channels: int) -> None:
        """Write into `folder`. stored_channels: 1 for grayscale pictures, else 3."""
        self.folder, self.epochs, self.stored_channels = folder, set(epochs), stored_channels

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch in self.epochs or epoch == trainer.max_epochs:
            self._write(trainer, pl_module, epoch)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.should_stop and not self._file(trainer.current_epoch).is_file():  # where epochs are over
            self._write(trainer, pl_module, trainer.current_epoch)

    def _file(self, epoch: int) -> Path:
        return self.folder / f"epoch_{epoch:04d}.png"

    def _write(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, epoch: int) -> None:
        if not trainer.is_global_zero:
            return
        images = torch.from_numpy(sample_grid(pl_module, self.stored_channels))
        columns = GRID_COLUMNS if len(_classes_of(pl_module) or ()) <= MANY_CLASSES else MANY_COLUMNS
        grid = make_grid(images.permute(0, 3, 1, 2).float() / 255, nrow=columns, padding=2)
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self._file(epoch)) as temporary:
            save_image(grid, temporary)
        log_picture(trainer.loggers, "gan/samples", (grid * 255).round().byte().permute(1, 2, 0).numpy(), epoch)


def sample_grid(module: lightning.LightningModule, stored_channels: int) -> np.ndarray:
    """Return (N, S, S, stored_channels) uint8: GRID_IMAGES of one class, or of every class as many full rows.

    Of more than MANY_CLASSES classes it has IMAGES_OF_MANY each. module: has `sample`, and among its hyperparameters
    `classes`, their names, or None if it is not conditional.
    """
    classes = _classes_of(module)
    if classes is None:
        return sample(module, range(GRID_IMAGES), stored_channels)
    rows = max(1, GRID_IMAGES // GRID_COLUMNS // len(classes))
    seeds = range(rows * GRID_COLUMNS if len(classes) <= MANY_CLASSES else IMAGES_OF_MANY)
    return np.concatenate([sample(module, seeds, stored_channels, n) for n in range(len(classes))])


def _classes_of(module: lightning.LightningModule) -> list[str] | None:
    hyperparameters: Any = module.hparams
    classes: list[str] | None = hyperparameters["classes"]
    return classes
