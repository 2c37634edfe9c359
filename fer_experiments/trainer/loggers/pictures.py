"""Pictures in every kind of logger that takes them."""

from collections.abc import Iterable
from functools import singledispatch

import numpy as np
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only


@rank_zero_only
def log_picture(loggers: Iterable[Logger], name: str, picture: np.ndarray, epoch: int) -> None:
    """Log a picture (H, W, C) uint8 of an epoch, as `name`, in each of the loggers that takes pictures."""
    for logger in loggers:
        _log_picture(logger, name, picture, epoch)


@singledispatch
def _log_picture(logger: Logger, name: str, picture: np.ndarray, epoch: int) -> None:
    """Log nothing: a CSVLogger has no pictures, and of a user's logger it is not known how it takes them."""


@_log_picture.register
def _(logger: TensorBoardLogger, name: str, picture: np.ndarray, epoch: int) -> None:
    logger.experiment.add_image(name, picture, epoch, dataformats="HWC")


@_log_picture.register
def _(logger: WandbLogger, name: str, picture: np.ndarray, epoch: int) -> None:
    logger.log_image(name, [picture], caption=[f"epoch {epoch}"])  # steps there count batches


@_log_picture.register
def _(logger: MLFlowLogger, name: str, picture: np.ndarray, epoch: int) -> None:
    assert logger.run_id is not None
    logger.experiment.log_image(logger.run_id, picture, artifact_file=f"{name}_{epoch:04d}.png")
