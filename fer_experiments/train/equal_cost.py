"""Callbacks that would give the arms of a study different numbers of optimizer steps."""

from collections.abc import Iterable

from lightning.pytorch.callbacks import EarlyStopping, Timer

from fer_experiments.errors import ConfigError
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.pruning import Pruning
from fer_experiments.train.settings import Settings
from fer_experiments.trainer.callbacks.build import build_callbacks


def check_equal_cost(settings: Settings, arms: Iterable[Arm]) -> None:
    """Raise ConfigError if one of the user's callbacks may end the training of an arm early."""
    metrics = {metric for arm in arms for metric in arm.metrics}
    for callback in build_callbacks(settings.callbacks, tuple(metrics)):
        if isinstance(callback, EarlyStopping | Timer | Pruning):
            raise ConfigError(
                f"callbacks: {type(callback).__name__} would give the arms of a study different numbers of optimizer "
                "steps; leave it out (classifier.checkpoint=best takes the best epoch), or use train=cnn"
            )
