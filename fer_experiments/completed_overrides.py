"""Overrides that follow from those that a user has typed, and that a defaults list can't express."""

from collections.abc import Iterator, Sequence

from fer_experiments.override_syntax import override_key

LENGTHS = {"gan.epochs": "gan.images_seen", "gan.images_seen": "gan.epochs"}  # two ways to give one length
DCGANS = {"dcgan", "conditional", "recipe"}  # files of conf/gan that have the keys which experiment=quick sets
NULL_LENGTHS = frozenset(f"{key}=null" for key in LENGTHS)
ROOT_OPTIONS = ("-cn", "--config-name", "-cp", "--config-path")  # of Hydra: another root of the configuration


def is_other_generator(argument: str) -> bool:
    """Return whether an override chooses a generator, or several in a sweep, none of which is a DCGAN of conf/gan."""
    key, _, value = argument.partition("=")
    return argument == "train=diffusion" or (key == "gan" and DCGANS.isdisjoint(value.split(",")))


def _names(value: str, name: str) -> bool:
    """Whether a value is the name, a list of values with it, or a pattern, which may match it."""
    return name in value.split(",") or value.startswith("glob(")


def complete_overrides(arguments: Sequence[str]) -> Iterator[str]:
    """Give the arguments of a command, each with the override that follows from it.

    - `data=` of other images than the drawn faces is followed by experiment=images, if no experiment is named, because
      experiment=quick is as short as the drawn faces allow.
    - A generator that is no DCGAN of conf/gan is followed by experiment=quick_classifier, if no experiment is named
      and the images are the drawn faces, because experiment=quick sets the size and the length of a DCGAN.
    - A length of the GAN is followed by null for the other way to give it, so that it wins over an experiment's.
    """
    keys = {override_key(argument) for argument in arguments}
    has_faces = "data" not in keys or "data=faces" in arguments
    is_experiment_chosen = "experiment" in keys or "train=evaluate" in arguments
    has_other_root = any(argument.startswith(ROOT_OPTIONS) for argument in arguments)
    for argument in arguments:
        yield argument
        key, value = override_key(argument), argument.partition("=")[2]
        if argument.startswith("~") or "=" not in argument:  # such as the value of --config-dir
            continue
        if key == "data" and not _names(value, "faces") and not (is_experiment_chosen or has_other_root):
            yield "experiment=images"
        elif is_other_generator(argument) and has_faces and not (is_experiment_chosen or has_other_root):
            yield "experiment=quick_classifier"
        elif key in LENGTHS and value not in ("", "null") and LENGTHS[key] not in keys:
            yield f"{LENGTHS[key]}=null"  # one of NULL_LENGTHS
