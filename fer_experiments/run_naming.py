"""The names of run folders: what a run does and a hash of its configuration, so that the same command finds its folder.

conf/config.yaml names the resolvers at the end. This module is imported wherever a configuration with them is composed:
by the command line, and in other processes by unpickling Hydra's callbacks.
"""

import hashlib
import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path, PurePath
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fer_experiments.completed_overrides import NULL_LENGTHS
from fer_experiments.job_kinds import job_kind
from fer_experiments.override_syntax import override_key

# Where files are kept, how progress is shown, how many processes work and how long: none of these changes a training.
KEYS_NOT_HASHED = (
    "rerun",
    "plan_only",
    "tags",
    "train.workers",
    "train.budget",
    "data.cache_dir",
    "data.workers",
    "trainer.progress",
)
MAX_CLASSES = 4  # whose names stand in a folder's name
MAX_BYTES = {"job": 200, "sweep": 80}  # of a folder's name; file systems allow 255
UNSAFE_CHARACTERS = re.compile(r"[^\w.,=+@-]+")  # in a folder's name, on some system or in some tool


def config_hash(config: DictConfig) -> str:
    """Return 8 hexadecimal digits of a job's resolved configuration, without Hydra's own and KEYS_NOT_HASHED."""
    return _digest(hashed_values(config))


def hashed_values(config: DictConfig) -> dict[str, Any]:
    """Return {full key: value} of everything that is hashed; lists are values.

    An interpolation that can't be resolved stays as it is written.
    """
    task = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    if "tags" in task:
        task.tags = []  # which loggers repeat
    try:
        node = OmegaConf.to_container(task, resolve=True)
    except OmegaConfBaseException:  # the job itself reports it, and needs a folder to do so
        node = OmegaConf.to_container(task, resolve=False)
    return {key: value for key, value in _flatten("", node) if key not in KEYS_NOT_HASHED}


def is_hashed(override: str) -> bool:
    """Whether an override, as typed ("key=value"), changes what a job does."""
    return override_key(override) not in KEYS_NOT_HASHED


def list_overrides(config: DictConfig) -> list[str]:
    """Return the overrides of a job, resolved; as they are typed if one has an interpolation that can't be resolved.

    config: with Hydra's own node.
    """
    task = config.hydra.overrides.task
    try:
        overrides = OmegaConf.to_container(task, resolve=True)
    except OmegaConfBaseException:  # the job itself reports it
        overrides = OmegaConf.to_container(task, resolve=False)
    assert isinstance(overrides, list)
    return overrides


def run_name(_root_: DictConfig) -> str:
    """Name a single run: "angry-happy_60-600_oversample+traditional_seed0_1a2b3c4d"; a study names no arm.

    A run that takes a checkpoint is named by the run that wrote it.
    """
    choices = _root_.hydra.runtime.choices
    try:
        checkpoint = _root_.get("checkpoint")
    except OmegaConfBaseException:  # the job itself reports it
        checkpoint = None
    last = f"seed{_describe_seeds(_root_)}" if checkpoint is None else _describe_checkpoint(str(checkpoint))
    parts = [*_describe_data(_root_), *job_kind(choices).name_parts(choices), last]
    return _join_name(["_".join(parts)], config_hash(_root_), separator="_")


def job_name(_root_: DictConfig) -> str:
    """Name a job of a sweep by the keys in which its jobs can differ: "gan.epochs=100,seed=0-1a2b3c4d".

    TensorBoard shows this name. It has no number, so that a larger sweep finds the job's folder again.
    """
    parts = _visible_overrides(_root_, _sweep_cache(_root_).get("fixed", ())) or _visible_overrides(_root_)
    return _join_name(parts, config_hash(_root_))


def sweep_name(_root_: DictConfig) -> str:
    """Name a sweep by its overrides. Its jobs don't know these, so Hydra's cache keeps the name, as that of ${now:}."""
    cache = _sweep_cache(_root_)
    if not cache:
        overrides = sorted(filter(is_hashed, list_overrides(_root_)))
        params = OmegaConf.select(_root_, "hydra.sweeper.params")
        params = OmegaConf.to_container(params) if isinstance(params, DictConfig) else params
        digest = _digest([overrides, params, hashed_values(_root_)])
        cache["name"] = _join_name(_visible_overrides(_root_) or ["sweep"], digest, MAX_BYTES["sweep"])
        parsed = OverridesParser.create().parse_overrides(overrides)
        cache["fixed"] = [override_key(each.get_key_element()) for each in parsed if not each.is_sweep_override()]
    return str(cache["name"])


def _sweep_cache(config: DictConfig) -> dict[str, Any]:
    """Return what a sweep shares with its jobs: its "name", and as "fixed" the overridden keys that have one value."""
    return OmegaConf.get_cache(config)["sweep_name"]


def _visible_overrides(config: DictConfig, fixed: Collection[str] = ()) -> list[str]:
    """Return the overrides that stand in a name, sorted, those of the data last, because long names are cut."""
    hidden = [*config.hydra.job.config.override_dirname.exclude_keys, *fixed]
    overrides = set(list_overrides(config)) - NULL_LENGTHS  # the length that is used says as much
    visible = [override for override in overrides if override_key(override) not in hidden]
    return sorted(visible, key=lambda override: ("data." in override, override))


def _describe_data(config: DictConfig) -> list[str]:
    """Return ["angry-happy", "60-600"] if the training images are counted, else the name of the data if it has one."""
    try:
        counts = OmegaConf.select(config, "data.counts")
        places = (OmegaConf.select(config, f"data.{key}") for key in ("name", "root", "file"))
        place = next((place for place in places if place), None)
    except OmegaConfBaseException:  # an interpolation that can't be resolved, which the job refuses as well
        return []
    if isinstance(counts, DictConfig):
        numbers = "-".join(map(str, counts.values()))
        return ["-".join(map(str, counts)), numbers] if len(counts) <= MAX_CLASSES else [f"{len(counts)}-classes"]
    return [PurePath(str(place)).name] if place else []


def _describe_seeds(config: DictConfig) -> str:
    """Return "0", "0-4", "0-auto" or "3,5"; a value that is no seed is shown as it is, for the job to refuse."""
    try:
        first, seeds = config.get("seed"), OmegaConf.select(config, "train.seeds")
    except OmegaConfBaseException:  # an interpolation that can't be resolved, which the job refuses as well
        return "unknown"
    if isinstance(seeds, ListConfig):
        return ",".join(map(str, seeds))
    if seeds == "auto":
        return f"{first}-auto"
    is_range = isinstance(first, int) and isinstance(seeds, int) and seeds > 1
    return f"{first}-{first + seeds - 1}" if is_range else str(first)


def _describe_checkpoint(checkpoint: str) -> str:
    """Return the name of the training's folder, "seed_1,dcgan" in a study; of a file elsewhere, its name."""
    path = Path(checkpoint).expanduser().resolve()
    if path.parent.name == "checkpoints":
        training = path.parent.parent
    else:
        training = path.parent / path.name.removesuffix(".ckpt")
    run, parent = training.name, training.parent.name
    return f"{parent},{run}" if re.fullmatch(r"seed_\d+", parent) else run


def _join_name(parts: Sequence[str], digest: str, max_bytes: int = MAX_BYTES["job"], separator: str = "-") -> str:
    text = UNSAFE_CHARACTERS.sub("_", ",".join(parts)).encode()[: max_bytes - len(digest) - 1]
    return separator.join([part for part in (text.decode(errors="ignore").strip("_"), digest) if part])


def _flatten(prefix: str, node: Any) -> list[tuple[str, Any]]:
    """Return (full key, value) of every leaf; an empty dict is a leaf."""
    if not isinstance(node, dict) or not node:
        return [(prefix, node)]
    return [pair for key, value in node.items() for pair in _flatten(f"{prefix}.{key}" if prefix else str(key), value)]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]


for resolver in (run_name, job_name, sweep_name):
    OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)
