"""The user's callbacks, built from conf/callbacks for each training."""

from collections.abc import Mapping
from typing import Any

from lightning import Callback

from fer_experiments.strict_config import instantiate_node


def build_callbacks(nodes: Mapping[str, Mapping[str, Any]], metrics: tuple[str, ...]) -> list[Callback]:
    """Build the callbacks of one training: those that monitor one of its metrics, and those that monitor none.

    Args:
        nodes: {name: a `_target_` and its arguments}.
        metrics: how the names of the training's metrics begin, such as "valid/".

    Raises:
        ConfigError: a callback can't be built.
    """
    callbacks = [instantiate_node(f"callbacks.{name}", node, Callback) for name, node in nodes.items()]
    return [each for each in callbacks if (monitored_metric(each) or metrics[0]).startswith(metrics)]


def monitored_metric(callback: Callback) -> str | None:
    """Return the metric that a callback monitors, as EarlyStopping does; None if it monitors none."""
    return getattr(callback, "monitor", None)
