"""Keys on the command line that no file of conf/ has, noticed before Hydra composes and before torch is imported."""

import difflib
from collections.abc import Iterator, Sequence
from functools import cache

import yaml

from fer_experiments.renamed_keys import present_name
from fer_experiments.run_naming import override_key
from fer_experiments.strict_config import CONF_DIR, explain_unknown_key
from fer_experiments.trainer_arguments import ADDABLE

FILES_OF_GROUP = {"reference_classifier": "classifier"}  # where it is not the folder of that name
# With these a user adds files or classes, whose keys are not known here.
FOREIGN_FILES = ("--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn", "hydra.searchpath")


def explain_wrong_keys(arguments: Sequence[str]) -> Iterator[str]:
    """Say of each override what its key should be: "gan.latnt_dim: unknown key; did you mean gan.latent_dim?".

    What is not explained here is left to Hydra: a key of a class that the user names, and keys below the first level.
    """
    has_foreign_files = any(argument.lstrip("+").startswith(FOREIGN_FILES) for argument in arguments)
    for argument in arguments:
        if argument.startswith(("-", "~", "hydra")) or "=" not in argument:
            continue
        key = override_key(argument)
        present = present_name(key)
        if present is not None:
            yield f"{key} is now {present}"
        elif not has_foreign_files and not any(mark in key for mark in "/@"):
            yield from _explain_unknown(key, arguments)


def _explain_unknown(key: str, arguments: Sequence[str]) -> Iterator[str]:
    group, _, rest = key.partition(".")
    if group not in _root_keys():
        close = list(_suggest_full_keys(group, rest))
        yield f"{key}: unknown key; " + (f"did you mean {' or '.join(close)}?" if close else "--help lists the groups")
    elif rest and group in _groups():
        name = f"{group}.{rest.partition('.')[0]}"
        targets = {f"{group}._target_", f"{name}._target_"}  # a class that the user names has keys of its own
        if name.partition(".")[2] not in _keys_of(group) and targets.isdisjoint(map(override_key, arguments)):
            yield f"{name}: {explain_unknown_key(name, _keys_of(group))}"


def _suggest_full_keys(name: str, rest: str) -> Iterator[str]:
    """Suggest every group that has a key of this name, or the root key that is closest to it."""
    groups = [group for group in sorted(_groups()) if not rest and name in _keys_of(group)]
    if groups:
        yield from (f"{group}.{name}" for group in groups)
    else:
        close = difflib.get_close_matches(name, _root_keys(), n=1)
        yield from (f"{match}.{rest}" if rest else match for match in close)


@cache
def _groups() -> set[str]:
    folders = {folder.name for folder in CONF_DIR.iterdir() if folder.is_dir()}
    return folders - {"hydra", "experiment"} | set(FILES_OF_GROUP)


@cache
def _root_keys() -> set[str]:
    return _groups() | {"experiment"} | set(yaml.safe_load((CONF_DIR / "config.yaml").read_text()))


@cache
def _keys_of(group: str) -> set[str]:
    """Return the keys that any file of the group has."""
    keys = set(ADDABLE) if group == "trainer" else set()
    for file in (CONF_DIR / FILES_OF_GROUP.get(group, group)).glob("*.yaml"):
        text = file.read_text()
        content = yaml.safe_load(text)
        keys |= set(content[group] if text.startswith("# @package _global_") else content)
    return keys - {"defaults"}
