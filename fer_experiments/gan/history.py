"""What the training of a generator logs and keeps in the `history` of its module, at its own steps."""

import math
from collections.abc import Mapping
from typing import Any

import lightning

from fer_experiments.errors import NonFiniteError
from fer_experiments.evaluation.step_means import StepMeans


def count_steps(trainer: lightning.Trainer) -> int:
    """Return how many batches the training has had. `global_step` counts the steps of every optimizer."""
    return trainer.fit_loop.epoch_loop.total_batch_idx + 1


def log_values(module: lightning.LightningModule, values: Mapping[str, float]) -> None:
    """Log values that callbacks can monitor, and give them to the loggers at the present step.

    Lightning itself would give them to the loggers at multiples of log_every_n_steps only, whenever they were measured.
    """
    trainer: Any = module.trainer
    module.log_dict(dict(values), logger=False)
    for logger in trainer.loggers:
        logger.log_metrics({**values, "epoch": trainer.current_epoch + 1}, step=count_steps(trainer))


def is_row_due(trainer: lightning.Trainer, step_means: StepMeans) -> bool:
    """Return whether the steps so far are to be a row of the history."""
    settings: Any = trainer  # Lightning sets log_every_n_steps without declaring it
    return trainer.is_last_batch or len(step_means) >= settings.log_every_n_steps


def append_row(module: Any, step_means: StepMeans, quantity: str, remedy: str) -> None:
    """Append the means over the steps since the last call to the module's `history`, and log them.

    Each step's values would double the overhead of Lightning. Raises NonFiniteError, as `non_finite_error` says, for a
    mean that is not finite.
    """
    trainer = module.trainer
    means = step_means.compute(lambda values: trainer.strategy.reduce(values, reduce_op="mean"))
    if not all(map(math.isfinite, means.values())):
        raise non_finite_error(trainer, quantity, remedy)
    module.history.append({"step": count_steps(trainer), "epoch": trainer.current_epoch + 1, **means})
    if means:
        log_values(module, means)


def non_finite_error(trainer: lightning.Trainer, quantity: str, remedy: str) -> NonFiniteError:
    """Return the error of a loss or a weight. quantity: "a loss of the GAN"; remedy: "a smaller gan.learning_rate"."""
    return NonFiniteError(
        f"{quantity} is not finite in epoch {trainer.current_epoch + 1}; checkpoints/last.ckpt holds the last good "
        f"state, if one was due (gan.checkpoint_every). Try {remedy} or trainer.precision=32-true"
    )
