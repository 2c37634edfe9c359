"""What Hydra says of a configuration that it can't compose, in this program's words."""

import re
from collections.abc import Mapping

from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from fer_experiments.conf_files import explain_unknown_option, list_groups
from fer_experiments.override_syntax import format_override
from fer_experiments.validation_errors import MAPPINGS, explain_unknown_key

PACKAGE = "fer_experiments."
EXPERIMENT_PACKAGE = "the file of an experiment begins with the line # @package _global_, since it sets keys of the run"
AMBIGUOUS = re.compile(r"Ambiguous value for argument '(.*)'")
EXISTING_GROUP = re.compile(r"To override a value use 'override (\S+): \S+'")
REMOVED_KEY = re.compile(r"Could not delete from config\. '(\S+)' does not exist")
EXISTING_KEY = re.compile(r"An item is already at '(.*)'")


def describe_hydra_error(error: HydraException) -> str:
    """Return one line that names the key and the remedy; Hydra's own first line for what is not known here."""
    message = str(error).strip()
    cause = error.__cause__
    if match := AMBIGUOUS.search(message):
        key, _, value = match[1].partition("=")
        return (
            f"{match[1]}: several values are a sweep, for which -m must be given as well; a list is written in "
            f"brackets: '{key}=[{value}]'"
        )
    if match := EXISTING_KEY.search(message):
        return f"+{match[1]}: the key exists already; leave out the +"
    if match := REMOVED_KEY.search(message):
        return f"~{match[1]}: there is no such key, or it is null already; leave it out"
    if match := EXISTING_GROUP.search(message):
        return f"+{match[1]}: every run has one; leave out the +"
    if "@experiment." in message:
        return f"{message.partition(':')[0]}: {EXPERIMENT_PACKAGE}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, name = error.missing_cfg_file.rpartition("/")
        if group in list_groups() | {"experiment"}:
            return f"{group}={name}: {explain_unknown_option(group, name, options=error.options)}"
        if group:
            return f"{group}={name}: there is no such file (there are {', '.join(error.options or ()) or 'none'})"
    if isinstance(cause, OmegaConfBaseException) and cause.full_key:
        return f"{cause.full_key}: {_explain_cause(cause)}"
    return " ".join(line.strip() for line in [*message.splitlines()[:2], str(cause or "").partition("\n")[0]] if line)


def explain_unwritable_folder(key: str, error: OSError) -> str:
    """Say that the folder of `key`, hydra.run.dir or hydra.sweep.dir, can't be created or written."""
    return (
        f"{key}={error.filename}: can't be created or written: {error.strerror}; give a folder of your own, such as "
        f"{key}=~/NAME"
    )


def _explain_cause(cause: OmegaConfBaseException) -> str:
    """Say which keys there are if the key is unknown, and how one that a class takes is added."""
    node, parent = cause.parent_node, str(cause.full_key).rpartition(".")[0]
    if not isinstance(node, DictConfig) or not isinstance(node._content, Mapping) or cause.key in node:
        return str(cause).splitlines()[0]
    if parent in MAPPINGS:
        example = format_override(f"{parent}={MAPPINGS[parent]}")
        return f"can't be set by itself; write all of {parent}, such as {example}"
    explanation = explain_unknown_key(str(cause.full_key), map(str, node))
    target = str(node._get_node("_target_")) if "_target_" in node else PACKAGE
    if not target.startswith(PACKAGE) and "did you mean" not in explanation:  # ours have all their keys in conf/
        explanation += f"; another argument of {target} is added by +{cause.full_key}=VALUE"
    return explanation
