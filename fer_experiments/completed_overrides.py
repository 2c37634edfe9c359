"""Overrides that follow from those that a user has typed, and that a defaults list can't express."""

from collections.abc import Iterator, Sequence

from fer_experiments.override_syntax import override_key

LENGTHS = {"gan.epochs": "gan.images_seen", "gan.images_seen": "gan.epochs"}  # two ways to give one length
NULL_LENGTHS = frozenset(f"{key}=null" for key in LENGTHS)
ROOT_OPTIONS = ("-cn", "--config-name", "-cp", "--config-path")  # of Hydra: another root of the configuration


def complete_overrides(arguments: Sequence[str]) -> Iterator[str]:
    """Give the arguments of a command, each with the override that follows from it.

    - `data=` of other images than the drawn faces is followed by experiment=images, if no experiment is named, because
      experiment=quick is as short as the drawn faces allow.
    - A length of the GAN is followed by null for the other way to give it, so that it wins over an experiment's.
    """
    keys = {override_key(argument) for argument in arguments}
    is_experiment_chosen = "experiment" in keys or "train=evaluate" in arguments
    has_other_root = any(argument.startswith(ROOT_OPTIONS) for argument in arguments)
    for argument in arguments:
        yield argument
        key, value = override_key(argument), argument.partition("=")[2]
        if argument.startswith("~"):
            continue
        # Beside the argument, because argparse takes no override behind an option that follows others.
        if key == "data" and "faces" not in value.split(",") and not (is_experiment_chosen or has_other_root):
            yield "experiment=images"
        elif key in LENGTHS and value not in ("", "null") and LENGTHS[key] not in keys:
            yield f"{LENGTHS[key]}=null"  # one of NULL_LENGTHS
