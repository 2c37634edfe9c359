"""The progress of a training as a stage of fer_experiments.progress."""

import time
from contextlib import AbstractContextManager
from typing import Any

import lightning
from lightning.pytorch.callbacks import ProgressBar

from fer_experiments.progress import Advance, show_stage

SECONDS_BETWEEN_UPDATES = 0.2  # reading a metric waits for the device
SHOWN_METRICS = ("train/loss", "valid/loss", "gan/loss_discriminator", "gan/loss_generator")


class StageProgress(ProgressBar):
    """Show how many batches are done, and beside them the losses and every metric that is logged with prog_bar=True."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self._is_enabled = True
        self._stage: AbstractContextManager[Advance] | None = None
        self._advance: Advance | None = None
        self._last_update = 0.0

    def enable(self) -> None:
        self._is_enabled = True

    def disable(self) -> None:
        self._is_enabled = False

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert trainer.max_epochs is not None
        if self._is_enabled:
            self._stage = show_stage(self.name, trainer.max_epochs * int(trainer.num_training_batches))
            self._advance = self._stage.__enter__()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        is_last = batch_idx + 1 >= trainer.num_training_batches
        if self._advance is None or (not is_last and time.monotonic() - self._last_update < SECONDS_BETWEEN_UPDATES):
            return
        self._last_update = time.monotonic()
        done = trainer.current_epoch * int(trainer.num_training_batches) + batch_idx + 1
        losses = {name: trainer.callback_metrics[name] for name in SHOWN_METRICS if name in trainer.callback_metrics}
        metrics: dict[str, Any] = {**losses, **trainer.progress_bar_metrics}
        values = ", ".join(f"{name} {float(value):.3f}" for name, value in metrics.items())
        self._advance(done, f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs} {values}")

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._close()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._stage is not None:
            stage, self._stage, self._advance = self._stage, None, None
            stage.__exit__(None, None, None)
