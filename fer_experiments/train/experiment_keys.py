"""Keys that an experiment sets, and that the chosen file of their group does not have: experiment=paper train=joint."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from fer_experiments.conf_files import list_keys, list_options, read_experiment
from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import locate_target


def check_experiment_keys(composed: DictConfig, runtime: DictConfig) -> None:
    """Raise ConfigError if the experiment sets keys of another file than the one that is chosen.

    composed: the job's configuration. runtime: hydra.runtime, which has the choices and the folders of files.
    """
    folders = [Path(source.path) for source in runtime.config_sources if source.schema == "file"]
    if lines := list(_explain_keys(composed, runtime.choices, folders)):
        raise ConfigError("\n".join(lines))


def _explain_keys(composed: DictConfig, choices: DictConfig, folders: list[Path]) -> Iterator[str]:
    """Give a line for each group and for the files that have the keys which the chosen one lacks."""
    name = str(choices.get("experiment"))
    lacking = defaultdict(list)
    for (group, key), file in read_experiment(name, folders).files.items():
        options = ", ".join(f"{group}={option}" for option in list_options(group) if key in list_keys(group, option))
        if options and _is_unknown(composed.get(group), group, key):
            lacking[group, file, options].append(f"{group}.{key}")
    for (group, file, options), keys in lacking.items():
        chosen = f"{group}={choices[group]}"
        yield (
            f"{', '.join(keys)}: set by experiment={name} ({file.parent.parent.name}/experiment/{file.name}) for "
            f"{options}, but {chosen} has no such key; leave out {chosen}, or leave out experiment={name} and give "
            "what you need of it yourself"
        )


def _is_unknown(node: Any, group: str, key: str) -> bool:
    """Whether the group's node has the key, and the class that it names does not take it."""
    if not isinstance(node, DictConfig) or not {key, "_target_"} <= set(node):
        return False
    fields = getattr(locate_target(f"{group}._target_", node["_target_"]), "model_fields", {key})
    return key not in fields
