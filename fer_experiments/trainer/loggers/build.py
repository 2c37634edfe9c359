"""The run's loggers, built from conf/logger for each training."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.loggers import Logger, WandbLogger

from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import instantiate_node


def build_loggers(nodes: Mapping[str, Mapping[str, Any]], labels: Mapping[str, str]) -> list[Logger]:
    """Build the loggers of one training.

    Args:
        nodes: {name: a `_target_` and its arguments}, in whose strings "{label}" stands for a label's value.
        labels: {label: value}.

    Raises:
        ConfigError: a logger can't be built, or a string names a label that does not exist.
    """
    return [
        instantiate_node(f"logger.{name}", fill_labels(f"logger.{name}", node, labels), Logger)
        for name, node in nodes.items()
    ]


def fill_labels(key: str, value: Any, labels: Mapping[str, str]) -> Any:
    """Return the value with "{label}" replaced in all of its strings. Raises ConfigError for an unknown label."""
    if isinstance(value, Mapping):
        return {name: fill_labels(f"{key}.{name}", each, labels) for name, each in value.items()}
    if isinstance(value, list):
        return [fill_labels(key, each, labels) for each in value]
    if not isinstance(value, str):
        return value
    try:
        return value.format_map(labels)
    except (KeyError, ValueError, IndexError):
        names = ", ".join(f"{{{label}}}" for label in labels)
        raise ConfigError(f"{key}={value}: braces name a label of the training, one of {names}") from None


@contextmanager
def closing(loggers: Iterable[Logger]) -> Iterator[None]:
    """Tell the loggers of an error in the block, and end the run of W&B, which has one at a time in a process."""
    exit_code = 1
    try:
        yield
        exit_code = 0
    finally:
        for logger in loggers:
            if exit_code:
                logger.finalize("failed")
            if isinstance(logger, WandbLogger):
                logger.experiment.finish(exit_code)
