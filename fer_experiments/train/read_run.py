"""The configuration and the data of a finished run, found by its split.csv."""

import re
from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.split import hash_split
from fer_experiments.errors import ConfigError
from fer_experiments.runs.start import CONFIG_FILE
from fer_experiments.train.config import Config, load_config
from fer_experiments.train.torch_checks import check_with_torch


def read_run(split: Path, trust: bool = False) -> tuple[Config, PreparedData]:
    """Return the configuration and the data of the run in which split.csv lies.

    Raises ConfigError if the run's configuration can't be read, names code that conf/ does not name (unless `trust`),
    or does not make this split.
    """
    try:
        wanted = hash_split(split.read_bytes())
    except OSError as error:
        raise ConfigError(f"--split {split}: can't be read: {error}; name the split.csv of a run") from None
    candidates = [folder / CONFIG_FILE for folder in split.resolve().parents]
    file = next((path for path in candidates if path.is_file()), None)
    if file is None:
        raise ConfigError(f"--split {split}: has no {CONFIG_FILE} beside it or above; name the split.csv of a run")
    config = Config.read(_for_any_device(load_config(file, trust)))
    check_with_torch(config)
    seeds = list(dict.fromkeys(_possible_seeds(config, split)))
    for seed in seeds:
        data = PreparedData.prepare(config.data, seed)
        if data.split.hash == wanted:
            return config.with_seed(seed), data
    raise ConfigError(
        f"--split {split}: is not the split that {file} makes with seed {', '.join(map(str, seeds))}; the file or the "
        "images have changed since: start a new run, or restore them"
    )


def _for_any_device(loaded: DictConfig) -> DictConfig:
    """Let a run that was made on a GPU be read where there is none."""
    for key in ("accelerator", "trainer.accelerator"):
        if OmegaConf.select(loaded, key) in ("gpu", "mps"):
            OmegaConf.update(loaded, key, "auto")
    if OmegaConf.select(loaded, "trainer.precision") == "16-mixed":
        OmegaConf.update(loaded, "trainer.precision", "auto")
    for key in ("trainer.devices", "trainer.num_nodes"):
        if OmegaConf.select(loaded, key) is not None:
            OmegaConf.update(loaded, key, 1)
    return loaded


def _possible_seeds(config: Config, split: Path) -> Iterator[int]:
    """Give the seed of the folder seed_N, then the run's, then those of a study's list."""
    named = re.fullmatch(r"seed_(\d+)", split.resolve().parent.name)
    if named:
        yield int(named[1])
    yield config.seed
    seeds = getattr(config.train, "seeds", None)
    yield from seeds if isinstance(seeds, list) else []
