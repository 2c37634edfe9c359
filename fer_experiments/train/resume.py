"""Go on with a training that was killed, as if it had not been."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Checkpoint

from fer_experiments.data.module import ImageData, ImageDataModule
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.report.tensorboard import EVENTS, write_charts
from fer_experiments.train.ranks import gather

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

log = logging.getLogger(__name__)
LAST = Path("checkpoints", "last.ckpt")
KEY = "resume"  # in the checkpoint


def fingerprint(config: Config, data: ImageData, **facts: Any) -> str:
    """Of a training: `facts`, its data and how it is computed. What can't change its result is not in it."""
    trainer = config.trainer
    facts |= {
        "seed": config.seed,
        "split": data.split.hash,
        "pixels": [data.cache.images.shape[1:], config.data.channels, config.data.bottleneck],
        "trainer": [
            trainer.max_epochs,
            trainer.limit_batches,
            trainer.precision,
            trainer.tf32,
            trainer.count,
        ],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def finished(folder: Path, training: str) -> Result | None:
    """The result of the training with this fingerprint, if `folder` has it; ConfigError where it has another's."""
    try:
        result = Result.load(folder)
    except ValueError:
        return None
    _check_same(folder, result.training, training)
    return result


def _check_same(folder: Path, there: str | None, training: str) -> None:
    if there != training:
        raise ConfigError(
            f"{folder}: holds a training with other settings or images ({there}, this one is {training}); start over "
            "with rerun=true, or name another folder with hydra.run.dir"
        )


class Resume(Checkpoint):
    """Write checkpoints/last.ckpt at the end of every `every` epochs and of the last, and go on from it.

    It holds all that the rest of the training depends on: beside what Lightning keeps, the random states, the module's
    `history`, the seconds so far, and how long TensorBoard's files were, so that what a killed training wrote after it
    is not there twice. Of Lightning's callbacks those of this kind come last, so that an epoch is over for all others.
    """

    def __init__(self, folder: Path, every: int, training: str) -> None:
        """training: its fingerprint."""
        self.folder, self.file, self.every, self.training = folder, folder / LAST, every, training
        self._started, self._earlier = time.monotonic(), 0.0
        self._random: Mapping[str, Any] | None = None

    @property
    def seconds(self) -> float:
        """Of this training, those before it was killed included up to the checkpoint that it goes on from."""
        return self._earlier + time.monotonic() - self._started

    def fit(self, trainer: lightning.Trainer, model: lightning.LightningModule, images: ImageDataModule) -> None:
        """trainer.fit from the checkpoint if there is one. Raises ConfigError where that is another training's."""
        saved = self._saved()
        if trainer.is_global_zero:
            _keep_events(self.folder, {} if saved is None else saved["events"])
            if saved is None:
                write_charts(trainer.logger)
        if saved is not None:
            self._earlier = saved["seconds"]
            log.info("going on after epoch %d of %s: %s", saved["epoch"], trainer.max_epochs, self.file)
        try:
            trainer.fit(model, datamodule=images, ckpt_path=None if saved is None else self.file, weights_only=True)
        except SystemExit as stop:  # Lightning's answer to Ctrl-C
            if isinstance(stop.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise

    def _saved(self) -> dict[str, Any] | None:
        if not self.file.is_file():
            return None
        try:
            saved: dict[str, Any] = torch.load(self.file, weights_only=True, map_location="cpu", mmap=True)[KEY]
        except Exception as error:  # torch.load raises anything on foreign bytes
            raise ConfigError(
                f"{self.file}: can't be gone on from ({type(error).__name__}: {str(error).splitlines()[0]}); start "
                "over with rerun=true"
            ) from None
        _check_same(self.folder, saved["training"], self.training)
        return saved

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every == 0 or epoch == trainer.max_epochs:
            trainer.save_checkpoint(self.file)

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        module: Any = pl_module
        checkpoint[KEY] = {
            "training": self.training,
            "epoch": trainer.current_epoch + 1,
            "seconds": self.seconds,
            "history": module.history,
            "random": gather(_random_state()),
            "events": _event_sizes(trainer.logger, self.folder),
        }

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        module: Any = pl_module
        module.history = checkpoint[KEY]["history"]
        self._random = checkpoint[KEY]["random"][trainer.global_rank]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self._random is not None:  # only now, as setting up a training may draw random numbers
            _restore_random(self._random)


def _random_state() -> dict[str, Any]:
    """Of all global generators, in types that load with weights_only=True."""
    numpy_state: Any = np.random.get_state()  # noqa: NPY002
    name, keys, *rest = numpy_state
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": (name, keys.tolist(), *rest),
        "python": random.getstate(),
    }


def _restore_random(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    for device, of_device in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(of_device, device)
    np.random.set_state(state["numpy"])  # noqa: NPY002
    random.setstate(state["python"])


def _event_sizes(logger: Any, folder: Path) -> dict[str, int]:
    """{name: bytes} of TensorBoard's files, all that was logged written to the disk."""
    logger.experiment.flush()
    sizes = {}
    for file in folder.glob(EVENTS):
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())
            sizes[file.name] = stream.seek(0, os.SEEK_END)
    return sizes


def _keep_events(folder: Path, sizes: Mapping[str, int]) -> None:
    """Take from TensorBoard's files what came after they had these sizes; a resumed training writes a new file."""
    for file in folder.glob(EVENTS):
        if file.name not in sizes:
            file.unlink()
        elif file.stat().st_size > sizes[file.name]:
            os.truncate(file, sizes[file.name])
