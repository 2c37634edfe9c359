"""What a YAML file configures: a frozen object with typed, range-checked fields. Defaults stand in the YAML alone."""

import inspect
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from hydra.utils import get_object, instantiate
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from fer_experiments.errors import ConfigError
from fer_experiments.validation_errors import describe_errors, explain_unknown_key

PACKAGE = Path(__file__).resolve().parent
# A wheel carries conf/ inside the package; in a checkout it lies beside the package.
CONF_DIR = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
GROUPS_OF_OBJECTS = ("callbacks", "logger")  # a run builds them; whoever reads its configuration does not
TARGET = re.compile(r"^\s*_target_: (\S+)", re.MULTILINE)


class StrictConfig(BaseModel):
    """The base of every class that a `_target_` in conf/ names. Unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _to_path(value: Any) -> Any:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be the path of a file or folder")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:  # ~name of a user who is unknown
        raise ValueError(f"{error}") from None


UserPath = Annotated[Path, BeforeValidator(_to_path)]
"""A path as a user types it, with ~ for the home directory."""


def _to_text(name: Any) -> Any:
    return str(name) if type(name) is int else name


Label = Annotated[str, BeforeValidator(_to_text)]
"""The name of a class; folders are often called 1, 2, 3, which are numbers in YAML."""


def _check_target(node: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(node.get("_target_"), str):
        raise ValueError("needs a _target_, the class of the object, as package.module.Class")
    return node


ObjectNodes = dict[str, Annotated[dict[str, Any], AfterValidator(_check_target)]]
"""{name: the `_target_` of an object and its arguments}, as Hydra instantiates it."""


def build_config(group: str, node: Any) -> Any:
    """Build the object that `node`, a plain dict with `_target_`, describes.

    Raises ConfigError, which names each wrong key as `group.key`.
    """
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise ConfigError(f"{group}: expected a configuration with _target_, got {node!r}; see conf/{group}/")
    arguments = {key: value for key, value in node.items() if key != "_target_"}
    target = locate_target(f"{group}._target_", node["_target_"])
    if not (isinstance(target, type) and issubclass(target, StrictConfig)):
        raise ConfigError(
            f"{group}._target_={node['_target_']}: is not a configuration; name a class of conf/{group}/, or a subclass"
        )
    try:
        return target(**arguments)
    except ValidationError as error:
        raise ConfigError("\n".join(describe_errors(group, error, target.model_fields, arguments))) from None
    except TypeError as error:
        raise ConfigError(f"{group}: {node['_target_']} does not take these keys: {error}") from None


def instantiate_node(key: str, node: Mapping[str, Any], expected: Any) -> Any:
    """Build the object that a node's `_target_` and its other keys describe, by Hydra's `instantiate`.

    Raises ConfigError if that fails, or builds something that is not of the class `expected`.
    """
    try:
        built = instantiate(dict(node), _convert_="all")
    except Exception as error:  # a constructor raises anything, such as ModuleNotFoundError for a missing package
        cause = error.__cause__ or error
        reason = str(cause).strip().splitlines() or [""]
        raise ConfigError(f"{key}: can't be built: {type(cause).__name__}: {reason[0]}") from error
    if not isinstance(built, expected):
        raise ConfigError(
            f"{key}._target_={node['_target_']}: builds a {type(built).__name__}; name Lightning's {expected.__name__}"
        )
    return built


def locate_target(key: str, name: Any) -> Any:
    """Return the callable that `name` ("package.module.Class") names. Raises ConfigError if there is none."""
    if isinstance(name, str) and "." not in name:
        raise ConfigError(f"{key}={name}: needs its package as well, as lightning.pytorch.callbacks.EarlyStopping has")
    try:
        target = get_object(name)
    except Exception as error:  # Hydra raises whatever the import raises
        raise ConfigError(f"{key}={name}: can't be imported: {error}") from None
    if not callable(target):
        raise ConfigError(f"{key}={name}: is not a class or function")
    return target


def check_targets_are_known(where: str, node: Any) -> None:
    """Raise ConfigError if a configuration that was read from a file names code that conf/ does not name.

    An interpolation could still name code when it is resolved, and the configuration of a run has none: it was resolved
    when it was written. node: the configuration as plain containers; where: the file, for the message.
    """
    if any("${" in text for text in _list_strings(node)):
        raise ConfigError(f"{where}: has an interpolation (${{...}}), which the configuration of a run does not have")
    files = [file for file in CONF_DIR.rglob("*.yaml") if file.parent.name not in GROUPS_OF_OBJECTS]
    known = {name for file in files for name in TARGET.findall(file.read_text())}
    foreign = sorted({str(name) for name in _list_targets(node)} - known)
    if foreign:
        raise ConfigError(
            f"{where}: names code that is not part of this program, {', '.join(foreign)}; it is not run unless you say "
            "so: if the file is yours, or you trust whoever wrote it, add --trust"
        )


def _list_targets(node: Any) -> Iterable[Any]:
    if isinstance(node, Mapping):
        yield from (value for key, value in node.items() if key == "_target_")
    if isinstance(node, Mapping | list):
        for value in node.values() if isinstance(node, Mapping) else node:
            yield from _list_targets(value)


def _list_strings(node: Any) -> Iterable[str]:
    """Return every key and value that is a string."""
    if isinstance(node, Mapping):
        yield from (str(key) for key in node)
    if isinstance(node, Mapping | list):
        for value in node.values() if isinstance(node, Mapping) else node:
            yield from _list_strings(value)
    elif isinstance(node, str):
        yield node


def check_signature(key: str, node: Mapping[str, Any], *supplied: str) -> None:
    """Raise ConfigError unless the callable of `node["_target_"]` takes the node's keys and `supplied` as well.

    key: the full key of the node, such as classifier.network.
    """
    target = locate_target(f"{key}._target_", node.get("_target_"))
    arguments = {name: value for name, value in node.items() if name != "_target_"}
    parameters = inspect.signature(target).parameters
    if all(parameter.kind != parameter.VAR_KEYWORD for parameter in parameters.values()):
        known = set(parameters) - set(supplied)
        unknown = [f"{key}.{name}" for name in sorted({*arguments} - known)]
        if unknown:
            lines = [
                f"{name}: {explain_unknown_key(name, known)}; leave it out (~{name}, if a file sets it)"
                for name in unknown
            ]
            raise ConfigError("\n".join(lines))
    try:
        inspect.signature(target).bind(**arguments, **dict.fromkeys(supplied))
    except TypeError as error:
        raise ConfigError(f"{key}: {node.get('_target_')}: {error}") from None
