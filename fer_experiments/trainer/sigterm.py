"""SIGTERM, as `kill` and schedulers send it, ends a command with a status of its own."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import lightning
from lightning.pytorch.utilities.exceptions import SIGTERMException

from fer_experiments.exit_status import TERMINATED_STATUS

log = logging.getLogger(__name__)


@contextmanager
def ending_by_sigterm(trainer: lightning.Trainer) -> Iterator[None]:
    """Raise SystemExit with TERMINATED_STATUS if SIGTERM arrives while the trainer fits or predicts in the block.

    Lightning itself ends a training with the status of success, and goes on after a prediction.
    """
    try:
        yield
        is_terminated = trainer.received_sigterm
    except SIGTERMException:
        is_terminated = True
    if is_terminated:
        log.info("stopped by SIGTERM; the same command continues from the last checkpoint")
        raise SystemExit(TERMINATED_STATUS)
