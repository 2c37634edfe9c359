"""Arms by name: "dcgan+traditional" is conf/balance/dcgan.yaml with conf/augment/traditional.yaml.

"dcgan+traditional [balance.add=200]" gives that arm a setting of its own, as does "joint [joint.head=acgan]";
"dcgan+traditional@leak" is the arm under the leak on purpose (data/leak.py).
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from fer_experiments.balance import Joint
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.arms import LEAK, ArmName
from fer_experiments.joint import JointConfig
from fer_experiments.spec import build
from fer_experiments.train.arm import Arm
from fer_experiments.train.config import Config, to_dict
from fer_experiments.train.joint import check_joint

JOINT = f"{JointConfig.__module__}.{JointConfig.__qualname__}"
OWN_GROUPS = ("balance", "augment", "joint")  # what arms differ in


def compose_arms(names: list[str], config: Config) -> list[Arm]:
    """The arms that `names` name; an arm without + takes the run's augment.

    What the run changed in its own balance and augment (balance.sampling_strategy=0.95) reaches every arm that has
    such a key and no setting of its own for it. Raises ConfigError for an unknown name, suffix or setting, for two arms
    that are one, and for a change that no arm has a key for.
    """
    choices = HydraConfig.get().runtime.choices
    changed = {
        group: _changes(group, choices[group], spec.model_dump())
        for group, spec in (("balance", config.balance), ("augment", config.augment))
    }
    arms = []
    used: set[tuple[str, str]] = set()
    for name in names:
        parsed = _parse(name)
        own = _own_settings(name, parsed)
        options = {"balance": parsed.balance, "augment": parsed.augment or choices["augment"]}
        built = {}
        for group, option in options.items():
            node = _option(group, option, f"train.arms: {name}")
            for key, value in changed[group].items():
                if key in node:
                    node[key] = value
                    used.add((group, key))
            built[group] = _build(name, group, node | own[group])
        joint = config.joint if isinstance(built["balance"], Joint) else None
        if own["joint"]:
            if joint is None:
                raise ConfigError(f"train.arms: {name}: {parsed.balance} is not trained together with a GAN; use joint")
            joint = _build(name, "joint", {"_target_": JOINT, **joint.model_dump(), **own["joint"]})
        arms.append(Arm(full_name(name), **built, joint=joint, leak=parsed.leak))
        check_joint(config, arms[-1])
    _check_each_once(arms)
    for group in changed:
        for key in changed[group]:
            if (group, key) not in used:
                raise ConfigError(f"{group}.{key} is set, but no arm of train.arms={names} has {key}")
    return arms


def _build(name: str, group: str, node: dict[str, Any]) -> Any:
    try:
        return build(group, node)
    except ConfigError as error:
        raise ConfigError(f"train.arms: {name}: {error}") from None


def full_name(name: str) -> str:
    """The name with the run's augment where it says none."""
    parsed = _parse(name)
    return str(replace(parsed, augment=parsed.augment or HydraConfig.get().runtime.choices["augment"]))


def _parse(name: str) -> ArmName:
    """Raises ConfigError for a suffix that is none, and for settings that are not closed or not set off by a space."""
    parsed = ArmName.parse(name)
    plain = str(replace(parsed, settings="", leak=False))
    if "@" in plain:
        arm, _, suffix = plain.partition("@")
        raise ConfigError(f"train.arms: {name}: unknown suffix @{suffix}; only {LEAK} is known, as in {arm}{LEAK}")
    if set(plain) & set("[]") or (" [" in name and not name.removesuffix(LEAK).endswith("]")):
        raise ConfigError(f"train.arms: {name}: an arm's settings stand as in {parsed.balance} [balance.KEY=VALUE]")
    return parsed


def _own_settings(name: str, parsed: ArmName) -> dict[str, dict[str, Any]]:
    """{group: {key: value}}, values as on Hydra's command line."""
    found: dict[str, dict[str, Any]] = {group: {} for group in OWN_GROUPS}
    for full_key, text in parsed.values.items():
        group, _, key = full_key.partition(".")
        if group not in OWN_GROUPS or not key:
            raise ConfigError(
                f"train.arms: {name}: {full_key}: an arm has settings of its own for balance.KEY, augment.KEY "
                "and joint.KEY alone; what concerns the whole run is set outside train.arms"
            )
        try:
            override = OverridesParser.create().parse_override(f"{full_key}={text}")
        except HydraException as error:
            raise ConfigError(
                f"train.arms: {name}: {full_key}={text}: is no value: {str(error).splitlines()[0]}"
            ) from None
        if override.is_sweep_override():
            raise ConfigError(
                f"train.arms: {name}: {full_key}={text}: an arm takes one value; name an arm for each, or write a list "
                "as [A, B]"
            )
        found[group][key] = override.value()
    return found


def _check_each_once(arms: list[Arm]) -> None:
    seen: dict[str, str] = {}
    for arm in arms:
        if arm.folder in seen:
            both = f"{seen[arm.folder]} and {arm.name}"
            raise ConfigError(f"train.arms: {both} would share the folder {arm.folder}; leave one out")
        seen[arm.folder] = arm.name


def _changes(group: str, option: str, now: dict[str, Any]) -> dict[str, Any]:
    """Keys in which the run's own choice differs from its file."""
    before = build(group, _option(group, option, group)).model_dump()
    return {key: value for key, value in now.items() if before.get(key) != value}


def _option(group: str, option: str, where: str) -> dict[str, Any]:
    try:
        return deepcopy(_compose(group, option))
    except (HydraException, ValueError) as error:  # the latter of a name that no file can have
        raise ConfigError(f"{where}: conf/{group}/ has no {option}: {str(error).splitlines()[0]}") from None


@cache  # a composition takes a tenth of a second
def _compose(group: str, option: str) -> dict[str, Any]:
    return dict(to_dict(hydra.compose(f"{group}/{option}"))[group])
