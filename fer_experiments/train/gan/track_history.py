"""The history of a generator whose module keeps none itself: the mean loss over every few steps."""

import math
from typing import Any

import lightning
from torch import Tensor

from fer_experiments.errors import NonFiniteError
from fer_experiments.evaluation.step_means import StepMeans
from fer_experiments.gan.averaging import has_finite_weights
from fer_experiments.gan.history import count_steps, log_values


class TrackHistory(lightning.Callback):
    """Append to the module's `history`, and log as gan/loss, what training_step returned.

    A module with manual optimization returns none; its rows name the steps and epochs alone. Raises NonFiniteError for
    a loss or a weight that is not finite.
    """

    def __init__(self) -> None:
        self._step_means = StepMeans()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor):
            self._step_means.add({"gan/loss": loss})
        settings: Any = trainer  # Lightning sets log_every_n_steps without declaring it
        if trainer.is_last_batch or len(self._step_means) >= settings.log_every_n_steps:
            self._write(trainer, pl_module)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not has_finite_weights(pl_module):
            self._raise_non_finite("a weight", trainer)

    def _write(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        means = self._step_means.compute(lambda values: trainer.strategy.reduce(values, reduce_op="mean"))
        if not all(map(math.isfinite, means.values())):
            self._raise_non_finite("the loss", trainer)
        module: Any = pl_module
        module.history.append({"step": count_steps(trainer), "epoch": trainer.current_epoch + 1, **means})
        if means:
            log_values(module, means)

    def _raise_non_finite(self, name: str, trainer: lightning.Trainer) -> None:
        raise NonFiniteError(
            f"{name} of the generator is not finite in epoch {trainer.current_epoch + 1}; checkpoints/last.ckpt holds "
            "the last good state, if one was due (gan.checkpoint_every). Try a smaller learning rate or "
            "trainer.precision=32-true"
        )
