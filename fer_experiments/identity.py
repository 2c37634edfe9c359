"""What a run is called: what it does and a hash of its configuration, so that the same command has the same folder.

conf/config.yaml names the resolvers at the end. This is imported wherever a configuration with them is composed: by
the command line, and in other processes by unpickling Hydra's callbacks.
"""

import hashlib
import json
import re
from collections.abc import Collection, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

# Where things are kept, how they are shown and how many work on them changes no result.
OF_NO_MATTER = ("rerun", "train.workers", "data.cache_dir", "data.workers", "trainer.progress")
MOST_BYTES = {"job": 200, "sweep": 80}  # of a folder's name; file systems take 255
UNSAFE = re.compile(r"[^\w.,=+@-]+")  # in a folder's name, on some system or in some tool


def identity(config: DictConfig) -> str:
    """8 hexadecimal digits of the resolved configuration of a job, less Hydra's own and OF_NO_MATTER."""
    return _digest(settings(config))


def settings(config: DictConfig) -> dict[str, Any]:
    """{full key: value} of all that matters; lists are values. What can't be resolved stands as it is written."""
    task = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    try:
        node = OmegaConf.to_container(task, resolve=True)
    except OmegaConfBaseException:  # a name is needed to say what is wrong, which the job does
        node = OmegaConf.to_container(task, resolve=False)
    return {key: value for key, value in _flat("", node) if key not in OF_NO_MATTER}


def matters(override: str) -> bool:
    """Whether "key=value", as typed, changes what a job does."""
    return _key(override) not in OF_NO_MATTER


def run_name(_root_: DictConfig) -> str:
    """ "oversample+traditional,seed=0-1a2b3c4d" of train=cnn; the GAN's name of train=dcgan, of a study the seeds."""
    chosen = _root_.hydra.runtime.choices
    balance, augment = chosen.get("balance"), chosen.get("augment")
    arm = f"{balance}" if augment == "none" else f"{balance}+{augment}"
    what = {"cnn": [arm], "dcgan": [f"{chosen.get('gan')}"], "joint": [f"{chosen.get('joint')}"]}.get(
        chosen.get("train"), []
    )
    return _name([*what, f"seed={_seeds(_root_)}"], identity(_root_))


def job_name(_root_: DictConfig) -> str:
    """Of a job of a sweep: "gan.epochs=100,seed=0-1a2b3c4d", by what its jobs can differ in, which TensorBoard shows.

    It has no number, so that larger sweeps share it.
    """
    return _name(_said(_root_, _cache(_root_).get("fixed", ())) or _said(_root_), identity(_root_))


def sweep_name(_root_: DictConfig) -> str:
    """Of what was asked, whose values its jobs don't know; so Hydra's cache keeps it for them, as that of ${now:}."""
    cache = _cache(_root_)
    if not cache:
        asked = sorted(filter(matters, _root_.hydra.overrides.task))
        params = OmegaConf.select(_root_, "hydra.sweeper.params")
        params = OmegaConf.to_container(params) if isinstance(params, DictConfig) else params
        digest = _digest([asked, params, settings(_root_)])
        cache["name"] = _name(_said(_root_) or ["sweep"], digest, MOST_BYTES["sweep"])
        parsed = OverridesParser.create().parse_overrides(asked)
        cache["fixed"] = [_key(each.get_key_element()) for each in parsed if not each.is_sweep_override()]
    return str(cache["name"])


def _cache(config: DictConfig) -> dict[str, Any]:
    """Of a sweep and its jobs: its "name", and as "fixed" the keys that were asked with one value."""
    return OmegaConf.get_cache(config)["sweep_name"]


def _said(config: DictConfig, fixed: Collection[str] = ()) -> list[str]:
    """The overrides that a name has, sorted; those of the data come last, as long names are cut."""
    silent = [*config.hydra.job.config.override_dirname.exclude_keys, *fixed]
    keys = {override: _key(override) for override in config.hydra.overrides.task}
    return sorted((text for text, key in keys.items() if key not in silent), key=lambda text: ("data." in text, text))


def _key(override: str) -> str:
    return override.lstrip("+~").partition("=")[0]


def _seeds(config: DictConfig) -> str:
    """ "0", "0..4" or "3,5"; whatever was typed has some name."""
    first, several = config.get("seed"), OmegaConf.select(config, "train.seeds")
    if isinstance(several, ListConfig):
        return ",".join(map(str, several))
    counted = isinstance(first, int) and isinstance(several, int) and several > 1
    return f"{first}..{first + several - 1}" if counted else str(first)


def _name(parts: Sequence[str], digest: str, most: int = MOST_BYTES["job"]) -> str:
    said = UNSAFE.sub("_", ",".join(parts)).encode()[: most - len(digest) - 1]
    return "-".join([text for text in (said.decode(errors="ignore").strip("_"), digest) if text])


def _flat(prefix: str, node: Any) -> list[tuple[str, Any]]:
    if not isinstance(node, dict) or not node:
        return [(prefix, node)]
    return [pair for key, value in node.items() for pair in _flat(f"{prefix}.{key}" if prefix else str(key), value)]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:8]


for resolver in (run_name, job_name, sweep_name):
    OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)
