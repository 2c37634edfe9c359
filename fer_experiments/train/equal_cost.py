"""Callbacks that would give the arms of a study different numbers of optimizer steps."""

from lightning.pytorch.callbacks import EarlyStopping, Timer

from fer_experiments.errors import ConfigError
from fer_experiments.train.pruning import Pruning
from fer_experiments.train.settings import Settings
from fer_experiments.trainer.callbacks.build import build_callbacks


def check_equal_cost(settings: Settings) -> None:
    """Raise ConfigError if one of the user's callbacks may end a training early."""
    for callback in build_callbacks(settings.callbacks, ("train/", "valid/")):
        if isinstance(callback, EarlyStopping | Timer | Pruning):
            raise ConfigError(
                f"callbacks: {type(callback).__name__} would give the arms of a study different numbers of optimizer "
                "steps; leave it out (classifier.checkpoint=best takes the best epoch), or use train=cnn"
            )
