"""The generator of an arm: the run's own, the one that balance.gan names, or one with gan.KEY of the arm."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from omegaconf import OmegaConf

from fer_experiments.balance import Generate
from fer_experiments.completed_overrides import LENGTHS
from fer_experiments.errors import ConfigError
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.arms.options import build_option, find_changes, load_option
from fer_experiments.train.settings import Settings

SHARED_KEYS = {"image_size", "picture_epochs", "checkpoint_every", "kid_every", "checkpoint"}
NOT_SHARED_KEYS = {"pretrained", "target_class"}  # the weights of one generator are not those of another


def with_generator(arm: Arm, settings: Settings, keys: Mapping[str, Any] | None = None) -> Arm:
    """Return the arm with its generator, if that is not the run's own. Needs Hydra to be set up.

    Args:
        arm: its balance.gan names the generator; if it does not, that is the run's own.
        settings: the configuration. What the run changes of SHARED_KEYS in its own generator, it changes in every one;
            in one of the same class it changes every key for which both files have the same default.
        keys: the arm's own keys of the generator, such as {"images_seen": 9600, "module.width": 16}.

    Raises:
        ConfigError: there is no such generator, no such key, or the arm needs no generator.
    """
    balance, choice = arm.balance, settings.context.choices["gan"]
    if not isinstance(balance, Generate) or not balance.needs_generated_images:
        if keys:
            raise ConfigError(
                f"train.arms: {arm.name}: no generator is trained for it; leave out gan.{next(iter(keys))}"
            )
        return arm
    option = balance.gan or choice
    if option == choice and not keys:
        return arm
    changes = find_changes("gan", choice, settings.gan.model_dump())
    defaults = load_option("gan", option, f"balance.gan={option}")
    if option != choice:
        changes = _select_shared(changes, load_option("gan", choice, "gan"), defaults)
    node = OmegaConf.create(defaults | changes)
    for key, value in _complete_lengths(keys or {}).items():
        OmegaConf.update(node, key, value)
    changed: Any = OmegaConf.to_container(node)
    return replace(arm, gan=build_option(arm.name, "gan", changed))


def _select_shared(
    changes: Mapping[str, Any], defaults: Mapping[str, Any], arm_defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the changes of the run's generator that reach the arm's: both files have the same default, or the key is
    one of SHARED_KEYS.
    """
    if _generator_class(defaults) != _generator_class(arm_defaults):
        return {key: value for key, value in changes.items() if key in SHARED_KEYS}
    agreed = {key for key, value in arm_defaults.items() if key in defaults and defaults[key] == value}
    return {key: value for key, value in changes.items() if key in SHARED_KEYS | agreed - NOT_SHARED_KEYS}


def _generator_class(defaults: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the class of the configuration and, if it is of a LightningModule of any class, that class."""
    return defaults["_target_"], defaults.get("module", {}).get("_target_")


def _complete_lengths(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys, a length followed by null for the other way to give it."""
    pairs = {key.removeprefix("gan."): opposite.removeprefix("gan.") for key, opposite in LENGTHS.items()}
    nulls = {pairs[key]: None for key, value in keys.items() if key in pairs and value is not None}
    return nulls | dict(keys)
