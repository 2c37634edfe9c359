"""What a sweep does beside its jobs: a report when it ends, and an exit status that tells of failures."""

import atexit
import concurrent.futures.thread  # noqa: F401 - the report needs it, and it can't be imported at exit
import logging
import sys
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

import fer_experiments.identity  # noqa: F401 - launchers send this callback to their processes, and with it the resolvers
from fer_experiments.errors import ConfigError
from fer_experiments.report.__main__ import main
from fer_experiments.report.sweeps import BASIC, Plan, progress_of

log = logging.getLogger(__name__)


class SweepReport(Callback):
    """conf/config.yaml names it. Hydra passes over on_multirun_end where a sweep broke, but a program always exits."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        folder = Path(config.hydra.sweep.dir)
        Plan.of(config).save(folder)
        atexit.register(write_sweep_report, folder)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Log how far the sweep is and what broke the job, and let Hydra's own sweeper go on: it would stop at
        max_batch_size jobs, and show one traceback.
        """
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        if job_return.status == JobStatus.FAILED:
            error = job_return._return_value
            log.error("failed: %s", error, exc_info=None if isinstance(error, ConfigError) else error)
            if config.hydra.sweeper._target_ == BASIC:  # others count failures themselves
                job_return.status = JobStatus.COMPLETED
        log.info("sweep: %s", progress_of(Path(config.hydra.sweep.dir)).said(going_on=True))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        if progress_of(Path(config.hydra.sweep.dir)).failed:
            sys.exit(1)


def write_sweep_report(folder: Path) -> None:
    """report.html and its tables in the sweep's folder; says so where no classifier was trained, as by train=dcgan."""
    if folder.is_dir():  # else the sweep broke before its first job
        main([str(folder)])
