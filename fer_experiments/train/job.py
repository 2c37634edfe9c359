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
from fer_experiments.spec import Spec
from fer_experiments.train.memory import keep_freed_memory

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

log = logging.getLogger(__name__)


class Job(Spec, ABC):
    @abstractmethod
    def run(self, config: Config, folder: Path) -> None:
        """Do the job; everything it leaves is in `folder`."""

    def check(self, config: Config) -> None:
        """Raise ConfigError for what can be known to be wrong before any work."""


def run_job(composed: DictConfig) -> None:
    """Check the composed configuration, then run the job that it names in Hydra's output directory."""
    from fer_experiments.train.config import Config, save

    hydra = HydraConfig.get()
    config = Config.read(composed)
    if hydra.mode == RunMode.MULTIRUN and config.trainer.devices > 1:
        raise ConfigError(
            f"trainer.devices={config.trainer.devices}: in a multirun of the basic launcher each process of DDP would "
            "run the whole sweep; use trainer.devices=1, or one run a command"
        )
    config.train.check(config)
    keep_freed_memory()
    folder = Path(hydra.runtime.output_dir)
    save(composed, folder)
    started = time.monotonic()
    log.info("%s, writing to %s", hydra.job.name, folder)
    config.train.run(config, folder)
    log.info("done in %.0f s: %s", time.monotonic() - started, folder)
