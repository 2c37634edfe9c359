"""What the training of a generator logs, at its own steps."""

from collections.abc import Mapping
from typing import Any

import lightning


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
