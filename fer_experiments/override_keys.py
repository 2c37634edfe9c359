"""Overrides on the command line that can't be right, noticed before Hydra composes and before torch is imported."""

import difflib
from collections.abc import Iterable, Iterator, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, QuotedString

from fer_experiments.conf_files import (
    default_choices,
    explain_unknown_option,
    list_choices,
    list_groups,
    list_keys,
    list_options,
    list_root_keys,
    read_experiment,
)
from fer_experiments.override_syntax import (
    explain_split,
    explain_syntax,
    format_override,
    join_split_overrides,
    override_key,
)
from fer_experiments.renamed_keys import present_name
from fer_experiments.strict_config import GROUPS_OF_OBJECTS
from fer_experiments.trainer_arguments import ADDABLE, REFUSED
from fer_experiments.validation_errors import MAPPINGS, explain_unknown_key

# What Lightning's command line, lightning-hydra-template and timm call keys and groups.
KEY_SYNONYMS = {
    "lr": "learning_rate",
    "num_workers": "workers",
    **dict.fromkeys(("path", "dir", "folder", "data_dir"), "root"),
}
NESTED_KEYS = {
    **dict.fromkeys(("classifier.name", "classifier.model_name"), "classifier.network.model_name"),
    **dict.fromkeys(("classifier.weights", "classifier.pretrained"), "classifier.network.weights"),
}
ROOT_SYNONYMS = {
    "datamodule": ["data"],
    "debug": ["trainer=debug"],
    "hparams_search": ["experiment=optuna"],
    "model": ["classifier", "gan"],
    "seed_everything": ["seed"],
}


def explain_wrong_overrides(arguments: Sequence[str], has_foreign_files: bool = False) -> Iterator[str]:
    """Say of each override what it should be: "gan.latnt_dim: unknown key; did you mean gan.latent_dim?".

    What is not explained here is left to Hydra: a key of a class that the user names, and keys below the first level.
    has_foreign_files: whether the user adds files, whose keys and names are not known here.
    """
    groups = list(join_split_overrides(arguments))
    yield from (explain_split(pieces) for pieces in groups if len(pieces) > 1)
    overrides = [pieces[0] for pieces in groups if len(pieces) == 1]
    yield from _explain_repetitions(overrides)
    for override in overrides:
        yield from _explain_override(override, overrides, has_foreign_files)


def _explain_override(override: str, overrides: Sequence[str], has_foreign_files: bool) -> Iterator[str]:
    key = override_key(override)
    present = present_name(key)
    if present is not None:
        yield f"{key} is now {present}"
    elif override.startswith("~"):
        yield from _explain_removal(key)
    elif not key.strip():
        yield f"{override!r}: is no override; write KEY=VALUE, without spaces"
    else:
        is_group = key in (*list_groups(), "experiment") or any(mark in key for mark in "/@")
        explanations = []
        if not (is_group or has_foreign_files or key.startswith("hydra")):
            explanations = list(_explain_key(key, overrides))
        if not explanations and "=" not in override:
            explanations = [f"{key}: has no value; write {key}=VALUE"]
        if not explanations and (syntax := explain_syntax(override)):
            explanations = [syntax]
        if not explanations and is_group:
            explanations = list(_explain_choice(override, has_foreign_files))
        yield from explanations


def _explain_repetitions(overrides: Sequence[str]) -> Iterator[str]:
    """Refuse what the shell makes of {a:1,b:2} without quotes; else the last of several values wins, as in Hydra."""
    repetitions: dict[str, list[str]] = {}
    for override in dict.fromkeys(overrides):
        if "=" in override and not override.startswith(("~", "hydra")):
            repetitions.setdefault(override_key(override), []).append(override)
    for key, repeated in repetitions.items():
        if len(repeated) > 1 and all(":" in override for override in repeated):
            values = ", ".join(override.partition("=")[2].replace(":", ": ", 1) for override in repeated)
            yield (
                f"{key}: is given {len(repeated)} times, {' and '.join(repeated)}, as the shell makes it of {{...}} "
                f"without quotes; write '{key}={{{values}}}'"
            )


def _explain_removal(key: str) -> Iterator[str]:
    parent = key.rpartition(".")[0]
    if parent in MAPPINGS:
        example = format_override(f"{parent}={MAPPINGS[parent]}")
        yield f"~{key}: can't be removed by itself; write all of {parent}, such as {example}"
    elif key in list_groups():
        yield f"~{key}: every run needs the group; choose another file of it, such as {key}={default_choices()[key]}"


def _explain_choice(override: str, has_foreign_files: bool) -> Iterator[str]:
    """Refuse what is no name of a file, or of several: logger=[csv,wandb], and names of files that don't exist."""
    key = override_key(override)
    value = OverridesParser.create().parse_override(override).value()
    if isinstance(value, Glob):
        if not (has_foreign_files or value.filter(list_options(key))):
            yield f"{override}: matches no file; {key} has {', '.join(list_options(key))}"
        return
    values = value.list if isinstance(value, ChoiceSweep) else value if isinstance(value, list) else [value]
    names = [each.text if isinstance(each, QuotedString) else each for each in values]
    if not all(isinstance(name, str) for name in names):
        example = f", such as {key}={default_choices()[key]}" if key in default_choices() else ""
        yield f"{override}: a group takes the name of a file{example}"
    elif key in (*list_groups(), "experiment") and not has_foreign_files:
        unknown = [name for name in map(str, names) if name not in list_options(key) and "${" not in name]
        yield from (f"{key}={name}: {explain_unknown_option(key, name)}" for name in unknown)


def _explain_key(key: str, overrides: Sequence[str]) -> Iterator[str]:
    group, _, rest = key.partition(".")
    if group not in list_root_keys():
        close = _suggest_full_keys(group, rest)
        yield f"{key}: unknown key; " + (f"did you mean {' or '.join(close)}?" if close else "--help lists the groups")
    elif rest and group in list_groups():
        name = rest.partition(".")[0]
        full_key = f"{group}.{name}"
        targets = {f"{group}._target_", f"{full_key}._target_"}  # a class that the user names has keys of its own
        if targets.isdisjoint(map(override_key, overrides)):
            yield from _explain_key_of_group(group, name, overrides)


def _explain_key_of_group(group: str, name: str, overrides: Sequence[str]) -> Iterator[str]:
    options = {option for option in list_options(group) if name in _keys_of(group, option)}
    possible = _possible_options(group, overrides)
    if not options:
        close = _suggest_keys(name, group)
        explanation = f"unknown key; did you mean {' or '.join(close)}?" if close else None
        yield f"{group}.{name}: {explanation or explain_unknown_key(f'{group}.{name}', _all_keys(group))}"
    elif possible and not possible & options:
        yield f"{group}.{name}: there is no such key in {_join(group, possible)}; it is in {_join(group, options)}"


def _join(group: str, options: Iterable[str]) -> str:
    return ", ".join(f"{group}={option}" for option in sorted(options))


def _possible_options(group: str, overrides: Sequence[str]) -> set[str]:
    """Return the options of the group that the command may choose; none if that is not known."""
    chosen = {override_key(override): override.partition("=")[2] for override in overrides}
    if group in chosen:
        possible = chosen[group].split(",")
    else:
        names = chosen.get("experiment", default_choices()["experiment"]).split(",")
        experiments = [read_experiment(name) for name in names if name in list_options("experiment")]
        if len(experiments) < len(names) or any(("hydra", "sweeper") in each.files for each in experiments):
            return set()  # an experiment of the user's, or a search that may choose options itself
        jobs = set() if group == "train" else _possible_options("train", overrides)
        if group != "train" and not jobs:
            return set()
        choices = [default_choices(), *(list_choices("train", job) for job in jobs)]
        choices += [experiment.choices for experiment in experiments]
        possible = [each[group] for each in choices if group in each]
    return set(possible) if set(possible) <= set(list_options(group)) else set()


def _suggest_full_keys(name: str, rest: str) -> list[str]:
    """Return what was meant by NAME.REST, or NAME without a rest, which begins with no root key."""
    close = difflib.get_close_matches(name, list_root_keys(), n=1)
    if rest and close:
        return [f"{close[0]}.{rest}"]
    return _suggest_keys(rest.rpartition(".")[2] or name) or ROOT_SYNONYMS.get(name, close)


def _suggest_keys(name: str, group: str = "") -> list[str]:
    """Return every key of this name, or of the name that it has here; that of the group alone, if there is one."""
    if group == "trainer" and name in REFUSED:
        return []
    if nested := NESTED_KEYS.get(f"{group}.{name}"):
        return [nested]
    present = KEY_SYNONYMS.get(name, name)
    groups = [each for each in sorted(list_groups() - set(GROUPS_OF_OBJECTS)) if present in _all_keys(each)]
    return [f"{each}.{present}" for each in ([group] if group in groups else groups)]


def _keys_of(group: str, option: str) -> set[str]:
    return list_keys(group, option) | (ADDABLE if group == "trainer" else set())


def _all_keys(group: str) -> set[str]:
    """Return the keys that any option of the group has."""
    return set().union(*(_keys_of(group, option) for option in list_options(group)))
