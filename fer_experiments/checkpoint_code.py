"""The classes that a checkpoint names: it can choose those of this package; any other the user must name as well."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import locate_target

if TYPE_CHECKING:
    from torch import Tensor, nn


def locate_checkpoint_class(
    path: Path, kind: str, target: Any, trusted: str | None, option: str, of_package: tuple[str, ...]
) -> Any:
    """Return the class `target` that a checkpoint names.

    Args:
        path: the checkpoint, for messages.
        kind: what the class is: "network".
        target: what the checkpoint names.
        trusted: what the user names; None: nothing.
        option: how the user names it, for messages: "--network ".
        of_package: the classes that need not be named by the user.

    Raises:
        ConfigError: the user names another class, or none where it must be named, or there is no such class.
    """
    if trusted is not None:
        if trusted != target:
            raise ConfigError(f"{option}{trusted}: the {kind} of {path} is {target}; give that, or another checkpoint")
        return locate_target(option.strip(" ="), trusted)
    if target not in of_package:
        raise ConfigError(
            f"{path}: its {kind} is {target}, code that is not run only because a file names it; if you trust it, add "
            f"{option}{target}"
        )
    return locate_target(str(path), target)


def build_argument(value: Any) -> Any:
    """Return `value` with each dict that has a `_target_` built, at any depth, as Hydra's instantiate does.

    Only modules of torch.nn are built. Raises ValueError for any other `_target_`.
    """
    from torch import nn

    if isinstance(value, list):
        return [build_argument(item) for item in value]
    if not isinstance(value, dict):
        return value
    arguments = {key: build_argument(item) for key, item in value.items()}
    if "_target_" not in arguments:
        return arguments
    target = arguments.pop("_target_")
    module = {f"torch.nn.{name}": module for name, module in vars(nn).items()}.get(str(target))
    if not (isinstance(module, type) and issubclass(module, nn.Module)):
        raise ValueError(f"has an argument of the type {target}; only modules of torch.nn are built for a checkpoint")
    return partial(module, **arguments) if arguments.pop("_partial_", False) else module(**arguments)


def check_shapes(network: "nn.Module", weights: "dict[str, Tensor]") -> None:
    """Raise ValueError, which names a tensor, unless the weights are those of the network by name and shape."""
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    if wrong := [name for name in sorted(expected.keys() | shapes) if expected.get(name) != shapes.get(name)]:
        raise ValueError(f"{wrong[0]} is {shapes.get(wrong[0])}, not {expected.get(wrong[0])}")
