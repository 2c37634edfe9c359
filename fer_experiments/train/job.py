"""What every job is, and how the command line starts one."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fer_experiments.report.status import LOCK, Status, held
from fer_experiments.spec import Spec
from fer_experiments.train import ranks
from fer_experiments.train.begin import begin, say_waiting, start_of_all, write_overrides
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
    searching = hydra.runtime.choices["hydra/sweeper"] != "basic"
    if searching:
        check_direction(hydra.sweeper)
        config = Config.read(composed)
        config.train.check_search(config)
    with ranks.started(composed):
        _run_once(composed, folder)
    return config.train.objective(folder) if searching else None


def _run_once(composed: DictConfig, folder: Path) -> None:
    """One process at a time: another that wants the same job waits, and finds it done."""
    with held(folder / LOCK, lambda: say_waiting(folder)) if ranks.rank() == 0 else nullcontext():
        status = _begin(composed, folder)
        if status is None:
            return
        try:
            _run(composed, folder, start_of_all(status) if composed.rerun else 0.0)
        except Exception as error:
            _end(status.ended(error), folder)
            raise
        _end(status.ended(), folder)


@ranks.on_first
def _begin(composed: DictConfig, folder: Path) -> Status | None:
    remove_partial(folder)
    status = begin(composed, folder)
    if status is not None:
        status.save(folder)
        write_overrides(composed, folder)
    return status


def _end(status: Status, folder: Path) -> None:
    if ranks.rank() == 0:  # without waiting for others, which may have been broken off
        status.save(folder)


def _run(composed: DictConfig, folder: Path, gans_since: float) -> None:
    """Check the configuration, then run its job; GANs that were kept before `gans_since` are trained again."""
    from fer_experiments.train.config import Config, save

    hydra = HydraConfig.get()
    config = Config.read(composed).model_copy(update={"gans_since": gans_since})
    ranks.check_shares(config)
    config.train.check(config)
    keep_freed_memory()
    ranks.on_first(save)(composed, folder)
    started = time.monotonic()
    log.info("%s, writing to %s", hydra.job.name, folder)
    config.train.run(config, folder)
    log.info("done in %.0f s: %s", time.monotonic() - started, folder)
