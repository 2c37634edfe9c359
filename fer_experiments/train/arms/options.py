"""The files of conf/ that arms name, as plain dicts and as objects."""

from copy import deepcopy
from functools import cache
from typing import Any

import hydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf

from fer_experiments.conf_files import explain_unknown_option
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.strict_config import build_config

MISSING = "???"


def build_option(name: str, group: str, node: dict[str, Any]) -> Any:
    """Build the object of a group for the arm `name`. Raises ConfigError for a wrong key, or one that must be given."""
    missing = next(iter(sorted(OmegaConf.missing_keys(node))), None)
    if missing is not None:
        arm = ArmName.parse(name).balance
        raise ConfigError(
            f"train.arms: {name}: needs {group}.{missing}; write '{arm} [{group}.{missing}=VALUE]', or set "
            f"{group}={arm} as well as {group}.{missing}=VALUE"
        )
    try:
        return build_config(group, node)
    except ConfigError as error:
        raise ConfigError(f"train.arms: {name}: {error}") from None


def find_changes(group: str, option: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return {key: value} of the run's own choice where it differs from its file."""
    node = load_option(group, option, group)
    required = {key: values[key] for key, value in node.items() if value == MISSING}
    defaults = build_config(group, node | required).model_dump()
    return {key: value for key, value in values.items() if key in required or defaults.get(key) != value}


def load_option(group: str, option: str, where: str) -> dict[str, Any]:
    try:
        return deepcopy(_compose(group, option))
    except (MissingConfigException, ValueError):  # ValueError for a name that no file can have
        raise ConfigError(f"{where}: {explain_unknown_option(group, option, is_override=False)}") from None
    except HydraException as error:
        raise ConfigError(f"{where}: conf/{group}/{option}.yaml: {str(error).splitlines()[0]}") from None


@cache  # a composition takes a tenth of a second
def _compose(group: str, option: str) -> dict[str, Any]:
    composed = OmegaConf.to_container(hydra.compose(f"{group}/{option}"), resolve=True)
    assert isinstance(composed, dict)
    return dict(composed[group])
