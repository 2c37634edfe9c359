"""What a YAML file configures: a frozen object with typed, range-checked fields. Defaults live in the YAML alone."""

import difflib
import inspect
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from hydra.utils import get_object
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from fer_experiments.errors import ConfigError

PACKAGE = Path(__file__).resolve().parent
# A wheel carries conf/ inside the package; in a checkout it lies beside it.
CONF_DIR = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
TARGET = re.compile(r"^\s*_target_: (\S+)", re.MULTILINE)


class Spec(BaseModel):
    """Base of everything that a `_target_` in conf/ names. Unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _to_path(value: Any) -> Any:
    return Path(value).expanduser() if isinstance(value, str) and value.strip() else value


UserPath = Annotated[Path, BeforeValidator(_to_path)]
"""A path as a user types it, with ~ for the home directory."""


def build(group: str, node: Any) -> Any:
    """The object that `node` (a plain dict with `_target_`) describes; ConfigError names `group.key`."""
    if not isinstance(node, Mapping) or "_target_" not in node:
        raise ConfigError(f"{group}: expected a configuration with _target_, got {node!r}; see conf/{group}/")
    arguments = {key: value for key, value in node.items() if key != "_target_"}
    target = locate(f"{group}._target_", node["_target_"])
    try:
        return target(**arguments)
    except ValidationError as error:
        allowed = getattr(target, "model_fields", {})
        raise ConfigError("\n".join(describe_errors(group, error, allowed))) from None
    except TypeError as error:
        raise ConfigError(f"{group}: {node['_target_']} can't take these keys: {error}") from None


def locate(key: str, name: Any) -> Any:
    """The callable that `name` ("package.module.Class") names; ConfigError if there is none."""
    try:
        target = get_object(name)
    except Exception as error:  # Hydra raises whatever the import raises
        raise ConfigError(f"{key}={name}: can't be imported: {error}") from None
    if not callable(target):
        raise ConfigError(f"{key}={name}: is not a class or function")
    return target


def describe_errors(group: str, error: ValidationError, allowed: Iterable[str]) -> list[str]:
    """One line for each error of pydantic, with the full key, the value and what is allowed."""
    lines = []
    for item in error.errors():
        if item["type"] == "value_error" and not item["loc"]:  # a check over several fields, which names its keys
            lines.append(f"{group}: {item['ctx']['error']}")
            continue
        key = ".".join([group, *map(str, item["loc"])]).lstrip(".")
        if item["type"] == "extra_forbidden" and len(item["loc"]) == 1:
            lines.append(f"{key}: unknown key{_suggest(str(item['loc'][0]), allowed)}")
        elif item["type"] == "missing":
            lines.append(f"{key}: is required")
        else:
            message = item["msg"].removeprefix("Value error, ")
            lines.append(f"{key}={item['input']!r}: {message[0].lower()}{message[1:]}")
    return lines


def _suggest(key: str, allowed: Iterable[str]) -> str:
    names = sorted(allowed)
    close = difflib.get_close_matches(key, names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{hint} (keys here: {', '.join(names) or 'none'})"


def check_own_targets(where: str, node: Any) -> None:
    """Raise ConfigError where a configuration found in a file, plain containers, names code that conf/ does not."""
    own = {name for file in CONF_DIR.rglob("*.yaml") for name in TARGET.findall(file.read_text())}
    foreign = sorted({str(name) for name in _targets(node)} - own)
    if foreign:
        raise ConfigError(
            f"{where}: names code of its own, which is not run at a file's word: {', '.join(foreign)}; if the file is "
            "yours, or you trust who made it, say --trust"
        )


def _targets(node: Any) -> Iterable[Any]:
    if isinstance(node, Mapping):
        yield from (value for key, value in node.items() if key == "_target_")
    if isinstance(node, Mapping | list):
        for value in node.values() if isinstance(node, Mapping) else node:
            yield from _targets(value)


def check_call(key: str, node: Mapping[str, Any], *supplied: str) -> None:
    """Raise ConfigError unless the callable of `node["_target_"]` takes the node's keys and `supplied` as well."""
    target = locate(f"{key}._target_", node.get("_target_"))
    arguments = {name: value for name, value in node.items() if name != "_target_"}
    try:
        inspect.signature(target).bind(**arguments, **dict.fromkeys(supplied))
    except TypeError as error:
        raise ConfigError(f"{key}: {node.get('_target_')}: {error}") from None


def call(node: Mapping[str, Any], **supplied: Any) -> Any:
    """Call the `_target_` of `node` with its other keys and `supplied`."""
    arguments = {name: value for name, value in node.items() if name != "_target_"}
    return get_object(node["_target_"])(**arguments, **supplied)
