"""Arms by name: "dcgan+traditional" is conf/balance/dcgan.yaml with conf/augment/traditional.yaml.

"dcgan+traditional@leak" is the same arm under the leak on purpose (data/leak.py).
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.arms import LEAK, ArmName
from fer_experiments.spec import build
from fer_experiments.train.cnn import Arm
from fer_experiments.train.config import Config, to_dict


def compose_arms(names: list[str], config: Config) -> list[Arm]:
    """The arms that `names` name; an arm without + takes the run's augment.

    What the run changed in its own balance and augment (balance.sampling_strategy=0.95) reaches every arm that has
    such a key. Raises ConfigError for an unknown name or suffix, and for a change that no arm has a key for.
    """
    choices = HydraConfig.get().runtime.choices
    changed = {
        group: _changes(group, choices[group], spec.model_dump())
        for group, spec in (("balance", config.balance), ("augment", config.augment))
    }
    arms = []
    used: set[tuple[str, str]] = set()
    for name in names:
        plain, at, suffix = name.partition("@")
        if at and at + suffix != LEAK:
            raise ConfigError(
                f"train.arms: {name}: unknown suffix @{suffix}; only {LEAK} is known, as in {plain}{LEAK}"
            )
        parsed = ArmName.parse(name)
        options = {"balance": parsed.balance, "augment": parsed.augment or choices["augment"]}
        built = {}
        for group, option in options.items():
            node = _option(group, option, f"train.arms: {name}")
            for key, value in changed[group].items():
                if key in node:
                    node[key] = value
                    used.add((group, key))
            built[group] = build(group, node)
        full = str(replace(parsed, augment=options["augment"]))
        arms.append(Arm(full, built["balance"], built["augment"], parsed.leak))
    for group in changed:
        for key in changed[group]:
            if (group, key) not in used:
                raise ConfigError(f"{group}.{key} is set, but no arm of train.arms={names} has {key}")
    return arms


def _changes(group: str, option: str, now: dict[str, Any]) -> dict[str, Any]:
    """Keys in which the run's own choice differs from its file."""
    before = build(group, _option(group, option, group)).model_dump()
    return {key: value for key, value in now.items() if before.get(key) != value}


def _option(group: str, option: str, where: str) -> dict[str, Any]:
    try:
        return deepcopy(_compose(group, option))
    except HydraException as error:
        raise ConfigError(f"{where}: conf/{group}/ has no {option}: {str(error).splitlines()[0]}") from None


@cache  # a composition takes a tenth of a second
def _compose(group: str, option: str) -> dict[str, Any]:
    return dict(to_dict(hydra.compose(f"{group}/{option}"))[group])
