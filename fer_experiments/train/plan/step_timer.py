"""Time a few steps of a training, as jobs train."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from fer_experiments.data.datamodule import ImageDataModule
from fer_experiments.trainer.build import build_trainer
from fer_experiments.trainer.config import TrainerConfig
from fer_experiments.trainer.sigterm import ending_by_sigterm

MAX_STEPS, MAX_SECONDS = 20, 3.0  # that are timed, after the first step, which is left out


class StepTimer(lightning.Callback):
    """Note when each step has ended, and end the training after MAX_STEPS or MAX_SECONDS."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any, **kwargs: Any) -> None:
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())
        is_long = self.times[-1] - self.times[0] >= MAX_SECONDS
        trainer.should_stop = len(self.times) > MAX_STEPS or (is_long and len(self.times) > 2)

    @property
    def seconds(self) -> float:
        """The median of the steps after the first."""
        return statistics.median(b - a for a, b in zip(self.times, self.times[1:], strict=False))


def time_steps(config: TrainerConfig, module: lightning.LightningModule, images: ImageDataModule) -> float:
    """Return the median duration of a few training steps in seconds."""
    brief = config.model_copy(update={"limit_batches": None, "max_epochs": None, "progress": False, "profiler": None})
    timer = StepTimer()
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [timer, ModelCheckpoint(save_top_k=0)]  # without the latter Lightning would write checkpoints
        trainer = build_trainer(brief, "timed steps", MAX_STEPS + 1, Path(folder), callbacks, validate=False)
        with ending_by_sigterm(trainer):
            trainer.fit(module, datamodule=images)
    return timer.seconds
