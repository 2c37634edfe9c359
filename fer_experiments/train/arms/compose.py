"""Arms by name: "dcgan+traditional" is conf/balance/dcgan.yaml with conf/augment/traditional.yaml.

"dcgan+traditional [balance.add=200]" gives that arm a setting of its own, as do "joint [joint.head=acgan]" and
"dcgan [gan.images_seen=100000]".
"dcgan+traditional@leak" is the arm with the leak on purpose (data/leak.py).
"""

from dataclasses import replace
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from fer_experiments.balance import Joint
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.arm_name import LEAK_SUFFIX, ArmName
from fer_experiments.joint import JointConfig
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.arms.check_external import check_external
from fer_experiments.train.arms.check_joint import check_joint
from fer_experiments.train.arms.generator import with_generator
from fer_experiments.train.arms.options import build_option, find_changes, load_option
from fer_experiments.train.settings import Settings

JOINT_TARGET = f"{JointConfig.__module__}.{JointConfig.__qualname__}"
FOLDER_KEY = "synthetic"  # the images of one strategy are not those of another
ARM_GROUPS = ("balance", "augment", "joint", "gan")  # the groups in which arms differ


def compose_arms(names: list[str], settings: Settings) -> list[Arm]:
    """Compose the named arms. An arm without + has the run's augment.

    What the run changes in its own balance and augment (balance.sampling_strategy=0.95) reaches every arm that has such
    a key and no setting of its own for it. Needs Hydra to be set up.

    Raises ConfigError for an unknown name, suffix or setting, for two arms that are the same, and for a change that
    reaches no arm.
    """
    choices = settings.context.choices
    changes = {
        group: find_changes(group, choices[group], config.model_dump())
        for group, config in (("balance", settings.balance), ("augment", settings.augment))
    }
    arms = []
    reached: set[tuple[str, str]] = set()
    for name in names:
        parsed = _parse(name)
        options = _options(parsed, settings)
        nodes = _load_nodes("train.arms", name, settings)
        for group, node in nodes.items():
            is_same_choice = options[group] == choices[group]
            shared = {
                key: value
                for key, value in changes[group].items()
                if key in node and (is_same_choice or key != FOLDER_KEY)
            }
            node.update(shared)
            reached |= {(group, key) for key in shared}
        arms.append(_build_arm(name, parsed, nodes, settings))
        check_joint(settings, arms[-1])
        check_external(arms[-1])
    _check_folders_differ(arms)
    for group, values in changes.items():
        for key in values:
            if (group, key) not in reached:
                raise ConfigError(f"{group}.{key} is set, but no arm of train.arms={names} has {key}")
    return arms


def baseline_name(name: str, settings: Settings) -> str:
    """Return the name of train.baseline with its augmentation, the run's if it has none.

    Raises ConfigError if it names a balance or augment that does not exist.
    """
    _load_nodes("train.baseline", name, settings)
    return _full_name(name, settings)


def _full_name(name: str, settings: Settings) -> str:
    parsed = _parse(name)
    return str(replace(parsed.with_name, augment=parsed.augment or settings.context.choices["augment"]))


def _load_nodes(key: str, name: str, settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the nodes of balance and augment that a name stands for. key: train.arms or train.baseline, for errors."""
    options = _options(_parse(name), settings)
    return {group: load_option(group, option, f"{key}: {name}") for group, option in options.items()}


def _options(parsed: ArmName, settings: Settings) -> dict[str, str]:
    """Return the files of balance and augment that a name stands for."""
    return {"balance": parsed.balance, "augment": parsed.augment or settings.context.choices["augment"]}


def _build_arm(name: str, parsed: ArmName, nodes: dict[str, dict[str, Any]], settings: Settings) -> Arm:
    """Build the arm from the nodes of balance and augment and from the settings in its name."""
    arm_settings = _parse_arm_settings(name, parsed)
    balance, augment = (
        build_option(name, group, nodes[group] | arm_settings[group]) for group in ("balance", "augment")
    )
    joint = settings.joint if isinstance(balance, Joint) else None
    if arm_settings["joint"]:
        if joint is None:
            raise ConfigError(f"train.arms: {name}: {parsed.balance} is not trained together with a GAN; use joint")
        joint = build_option(name, "joint", {"_target_": JOINT_TARGET, **joint.model_dump(), **arm_settings["joint"]})
    arm = Arm(_full_name(name, settings), balance, augment, joint, leak=parsed.leak)
    return with_generator(arm, settings, arm_settings["gan"])


def _parse(name: str) -> ArmName:
    """Parse a name. Raises ConfigError for an unknown suffix, and for settings that are not written as they must be."""
    parsed = ArmName.parse(name)
    plain = str(replace(parsed, settings="", leak=False))
    if "@" in plain:
        arm, _, suffix = plain.partition("@")
        raise ConfigError(
            f"train.arms: {name}: unknown suffix @{suffix}; only {LEAK_SUFFIX} exists, as in {arm}{LEAK_SUFFIX}"
        )
    if set(plain) & set("[]") or (" [" in name and not name.removesuffix(LEAK_SUFFIX).endswith("]")):
        raise ConfigError(
            f"train.arms: {name}: an arm's settings are written as in {parsed.balance} [balance.KEY=VALUE]"
        )
    return parsed


def _parse_arm_settings(name: str, parsed: ArmName) -> dict[str, dict[str, Any]]:
    """Return {group: {key: value}} of the settings in an arm's name, parsed as on Hydra's command line."""
    settings: dict[str, dict[str, Any]] = {group: {} for group in ARM_GROUPS}
    for full_key, text in parsed.values.items():
        group, _, key = full_key.partition(".")
        if group not in ARM_GROUPS or not key:
            raise ConfigError(
                f"train.arms: {name}: {full_key}: an arm can have settings of its own for balance.KEY, augment.KEY, "
                "joint.KEY and gan.KEY only; what concerns the whole run is set outside train.arms"
            )
        try:
            override = OverridesParser.create().parse_override(f"{full_key}={text}")
        except HydraException as error:
            raise ConfigError(
                f"train.arms: {name}: {full_key}={text}: is not a value: {str(error).splitlines()[0]}"
            ) from None
        if override.is_sweep_override():
            raise ConfigError(
                f"train.arms: {name}: {full_key}={text}: an arm takes one value; name an arm for each, or write a list "
                "as [A, B]"
            )
        settings[group][key] = override.value()
    return settings


def _check_folders_differ(arms: list[Arm]) -> None:
    names: dict[str, str] = {}
    for arm in arms:
        if arm.folder in names:
            if names[arm.folder] == arm.name:
                raise ConfigError(f"train.arms: {arm.name} is named twice; leave one out")
            both = f"{names[arm.folder]} and {arm.name}"
            raise ConfigError(f"train.arms: {both} would share the folder {arm.folder}; leave one out")
        names[arm.folder] = arm.name
