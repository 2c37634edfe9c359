"""What every job is, and how the command line starts one."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from fer_experiments.errors import ConfigError
from fer_experiments.report.status import LOCK, held
from fer_experiments.spec import Spec
from fer_experiments.train.begin import begin, is_further_process, say_waiting, start_of_all, write_overrides
from fer_experiments.train.memory import keep_freed_memory
from fer_experiments.train.search import check_direction
from fer_experiments.whole import remove_partial

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

log = logging.getLogger(__name__)


class Job(Spec, ABC):
    @abstractmethod
    def run(self, config: Config, folder: Path) -> None:
        """Do the job; everything it leaves is in `folder`."""

    def check(self, config: Config) -> None:
        """Raise ConfigError for what can be known to be wrong before any work."""

    @abstractmethod
    def check_search(self, config: Config) -> None:
        """Raise ConfigError where a search would find no `objective`."""

    @abstractmethod
    def objective(self, folder: Path) -> float:
        """What a search is to maximise, from the files of the finished job (train/search.py)."""


def run_job(composed: DictConfig) -> float | None:
    """Do the job that the composed configuration names in Hydra's output directory, unless that was done before.

    Returns the job's objective where a sweeper searches for the best.
    """
    from fer_experiments.train.config import Config

    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    if hydra.runtime.choices["hydra/sweeper"] == "basic":
        _run_once(composed, folder)
        return None
    check_direction(hydra.sweeper)
    config = Config.read(composed)
    config.train.check_search(config)
    _run_once(composed, folder)
    return config.train.objective(folder)


def _run_once(composed: DictConfig, folder: Path) -> None:
    """One process at a time: another that wants the same job waits, and finds it done."""
    if is_further_process():  # the first one has the folder
        return _run(composed, folder, 0.0)
    with held(folder / LOCK, lambda: say_waiting(folder)):
        remove_partial(folder)
        status = begin(composed, folder)
        if status is None:
            return
        status.save(folder)
        write_overrides(composed, folder)
        try:
            _run(composed, folder, start_of_all(status) if composed.rerun else 0.0)
        except Exception as error:
            status.ended(error).save(folder)
            raise
        status.ended().save(folder)


def _run(composed: DictConfig, folder: Path, gans_since: float) -> None:
    """Check the configuration, then run its job; GANs that were kept before `gans_since` are trained again."""
    from fer_experiments.train.config import Config, save

    hydra = HydraConfig.get()
    config = Config.read(composed).model_copy(update={"gans_since": gans_since})
    if hydra.mode == RunMode.MULTIRUN and config.trainer.devices > 1:
        raise ConfigError(
            f"trainer.devices={config.trainer.devices}: in a multirun of the basic launcher each process of DDP would "
            "run the whole sweep; use trainer.devices=1, or one run a command"
        )
    config.train.check(config)
    keep_freed_memory()
    save(composed, folder)
    started = time.monotonic()
    log.info("%s, writing to %s", hydra.job.name, folder)
    config.train.run(config, folder)
    log.info("done in %.0f s: %s", time.monotonic() - started, folder)
