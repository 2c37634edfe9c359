"""The user's callbacks, built from conf/callbacks for each training."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import instantiate_node

if TYPE_CHECKING:
    from lightning import Callback

# How the names of metrics begin. A joint training has all of them.
CLASSIFIER_METRICS, GAN_METRICS = ("train/", "valid/"), ("gan/",)
METRICS = (*CLASSIFIER_METRICS, *GAN_METRICS, "joint/")


def build_callbacks(
    nodes: Mapping[str, Mapping[str, Any]], metrics: tuple[str, ...], folder: Path | None = None
) -> "list[Callback]":
    """Build the callbacks of one training: those that monitor one of its metrics, and those that monitor none.

    A ModelCheckpoint without a `dirpath` of its own writes into checkpoints/NAME, beside those of the training itself.

    Args:
        nodes: {name: a `_target_` and its arguments}.
        metrics: how the names of the training's metrics begin, such as "valid/".
        folder: of the training; None: the callbacks are not used.

    Raises:
        ConfigError: a callback can't be built.
    """
    from lightning import Callback
    from lightning.pytorch.callbacks import ModelCheckpoint

    callbacks = {name: instantiate_node(f"callbacks.{name}", node, Callback) for name, node in nodes.items()}
    for name, callback in callbacks.items():
        if folder is not None and isinstance(callback, ModelCheckpoint) and callback.dirpath is None:
            callback.dirpath = str(folder / "checkpoints" / name)
    monitors = [getattr(callback, "monitor", None) for callback in callbacks.values()]  # as EarlyStopping has
    pairs = zip(callbacks.values(), monitors, strict=True)
    return [callback for callback, name in pairs if name is None or name.startswith(metrics)]


def check_monitors(nodes: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise ConfigError for a callback that monitors what no training measures, and so would never run."""
    for name, node in nodes.items():
        monitor = node.get("monitor")
        if isinstance(monitor, str) and not monitor.startswith(METRICS):
            raise ConfigError(
                f"callbacks.{name}.monitor={monitor}: no training measures it; metrics begin with {', '.join(METRICS)}"
            )
