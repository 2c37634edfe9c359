"""The history of a generator whose module keeps none itself: the mean loss over every few steps."""

from typing import Any

import lightning
from torch import Tensor

from fer_experiments.evaluation.step_means import StepMeans
from fer_experiments.gan.averaging import has_finite_weights
from fer_experiments.gan.history import append_row, is_row_due, non_finite_error

REMEDY = "a smaller learning rate"


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
        if is_row_due(trainer, self._step_means):
            append_row(pl_module, self._step_means, "the loss of the generator", REMEDY)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not has_finite_weights(pl_module):
            raise non_finite_error(trainer, "a weight of the generator", REMEDY)
