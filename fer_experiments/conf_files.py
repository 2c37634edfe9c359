"""What the files of conf/ say by themselves, before Hydra composes them: their keys, and what an experiment chooses."""

import difflib
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

import yaml

from fer_experiments.override_syntax import format_override
from fer_experiments.strict_config import CONF_DIR

FOLDERS = {"reference_classifier": "classifier"}  # of the groups that have not the folder of their name


@dataclass
class Experiment:
    """What a file of conf/experiment/ changes, with the files that it builds on.

    files: {(group, key): the file that sets the key last}. choices: {group: the option that it chooses}.
    """

    files: dict[tuple[str, str], Path] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)


@cache
def list_groups() -> set[str]:
    """Return the groups of conf/ of which every run has an option."""
    folders = {folder.name for folder in CONF_DIR.iterdir() if folder.is_dir()}
    return folders - {"hydra", "experiment"} | set(FOLDERS)


@cache
def list_root_keys() -> set[str]:
    """Return the groups, `experiment` and the keys of conf/config.yaml."""
    return list_groups() | {"experiment"} | set(_read(CONF_DIR / "config.yaml"))


@cache
def list_options(group: str) -> list[str]:
    """Return the names of the group's files, but for "base", on which others build and which is not used alone."""
    return sorted(set(_list_files(group, [CONF_DIR])) - {"base"})


def build_help() -> str:
    """Return what --help prints: the groups with their options, between the texts of hydra.help in conf/config.yaml."""
    texts = _read(CONF_DIR / "config.yaml")["hydra"]["help"]
    lines = [
        texts["header"],
        "",
        "Groups: GROUP=OPTION takes conf/GROUP/OPTION.yaml, and GROUP.KEY=VALUE changes a key of it",
        *(_format_group(group) for group in sorted(list_groups() | {"experiment"})),
        "All keys with their values: python -m fer_experiments --cfg job; the options of Hydra: --hydra-help",
        "",
        Template(texts["footer"]).substitute(),
    ]
    return "\n".join(lines)


def _format_group(group: str) -> str:
    line = f"  {group}: {', '.join(list_options(group))}"
    return textwrap.fill(line, width=120, subsequent_indent=" " * 4, break_on_hyphens=False)


def explain_unknown_option(
    group: str, name: str, is_override: bool = True, options: Sequence[str] | None = None
) -> str:
    """Say which of the group's files was meant, or which group has a file of this name, and which files there are.

    is_override: whether the user gave it as GROUP=NAME, and not in the name of an arm. options: the files, with those
    of --config-dir; None: those of conf/.
    """
    options = list_options(group) if options is None else sorted(set(options) - {"base"})
    close = difflib.get_close_matches(name, options, n=1)
    groups = sorted(each for each in list_groups() | {"experiment"} if name in list_options(each))
    prefix = f"{group}=" if is_override else ""
    choices = [f"{prefix}{option}" for option in close] or [f"{each}={name}" for each in groups if is_override]
    suggestion = f"; did you mean {' or '.join(choices)}?" if choices else ""
    if group == "data" and ("/" in name or (not choices and Path(name).is_dir())):
        suggestion = f"; images in a folder are data=folder {format_override(f'data.root={name}')}"
    folder = f"conf/{FOLDERS.get(group, group)}/"
    suggestion = suggestion or _explain_file_of_user(group, name)
    return f"{folder} has no {name or 'file without a name'}{suggestion} (it has {', '.join(options)})"


def _explain_file_of_user(group: str, name: str) -> str:
    """Say how a file of the present folder is chosen, if it is the one that is meant; else return ""."""
    stem = Path(name).stem
    if Path(group, f"{stem}.yaml").is_file():
        return f"; {group}/{stem}.yaml is chosen by --config-dir . {group}={stem}"
    file = Path(f"{name.removesuffix('.yaml')}.yaml")
    if not file.is_file():
        return ""
    return f"; put {file} into a folder {group}/ and choose it by --config-dir, the folder above, with {group}={stem}"


@cache
def list_keys(group: str, option: str) -> set[str]:
    """Return the keys of a file of the group, with those of the files that it builds on."""
    content = _read(_list_files(group, [CONF_DIR])[option])
    inherited = [list_keys(group, base) for base in _list_bases(content)]
    return set(content.get(group, content)).union(*inherited) - {"defaults"}


@cache
def list_choices(group: str, option: str) -> dict[str, str]:
    """Return {group: option} that a file of a group chooses, as conf/train/study.yaml does with balance."""
    return _list_choices(_read(_list_files(group, [CONF_DIR])[option]))


@cache
def default_choices() -> dict[str, str]:
    """Return {group: the option that conf/config.yaml chooses}."""
    return _list_choices(_read(CONF_DIR / "config.yaml"))


def read_experiment(name: str, folders: Sequence[Path] = (CONF_DIR,)) -> Experiment:
    """Read an experiment of conf/ or of a user's folders; one that is in none of the folders changes nothing."""
    experiment = Experiment()
    for file, content in _list_experiment_files(name, folders):
        experiment.choices |= _list_choices(content)
        for group, node in content.items():
            if isinstance(node, dict):
                experiment.files |= {(group, key): file for key in node}
    return experiment


def _list_experiment_files(name: str, folders: Sequence[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Give the files on which an experiment builds, then its own, each with its content."""
    file = _list_files("experiment", folders).get(name)
    if file is not None:
        content = _read(file)
        for base in _list_bases(content):
            yield from _list_experiment_files(base, folders)
        yield file, content


def _list_files(group: str, folders: Sequence[Path]) -> dict[str, Path]:
    """Return {option: file} of a group; the first of the folders wins, as it does for Hydra."""
    places = [folder / FOLDERS.get(group, group) for folder in reversed(folders)]
    return {file.stem: file for place in places for file in place.glob("*.yaml")}


def _read(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text()) or {}


def _list_bases(content: dict[str, Any]) -> list[str]:
    """Return the options of the same group on which a file builds."""
    return [entry for entry in content.get("defaults", ()) if isinstance(entry, str) and entry != "_self_"]


def _list_choices(content: dict[str, Any]) -> dict[str, str]:
    """Return {group: option} of a file's defaults, such as "override /train: cnn"."""
    entries = [entry for entry in content.get("defaults", ()) if isinstance(entry, dict)]
    pairs = [pair for entry in entries for pair in entry.items()]
    return {key.removeprefix("override").strip(" /").rpartition("@")[2]: option for key, option in pairs}
