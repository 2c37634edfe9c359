"""What a sweep does beside its jobs: a report when it ends, and an exit status that tells whether a job failed."""

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

import fer_experiments.run_naming  # noqa: F401 - launchers pickle this callback, and its processes need the resolvers
from fer_experiments.errors import ConfigError
from fer_experiments.exit_status import refuse
from fer_experiments.hydra_errors import explain_unwritable_folder
from fer_experiments.report.__main__ import main
from fer_experiments.runs.sweep_progress import BASIC_SWEEPER, SweepPlan, read_sweep_progress

log = logging.getLogger(__name__)


class SweepReport(Callback):
    """Write the plan of a sweep, log its progress after each job, and report it at the end.

    conf/config.yaml names this callback. The report is registered with atexit, because Hydra skips on_multirun_end if
    the sweep itself raises. With plan_only=true it does nothing: such jobs leave nothing to report.
    """

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        if config.plan_only:
            return
        folder = Path(config.hydra.sweep.dir)
        try:
            SweepPlan.from_config(config).save(folder)
        except OSError as error:  # Hydra would only warn of what a callback raises
            cause = error.__cause__
            refuse(explain_unwritable_folder("hydra.sweep.dir", cause if isinstance(cause, OSError) else error))
        atexit.register(write_sweep_report, folder)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **_: Any) -> None:
        """Log the progress of the sweep, and why the job failed.

        A failed job is reported to Hydra's own sweeper as completed: that would otherwise stop the sweep at the end of
        a batch of jobs, and show the traceback of the first failure alone.
        """
        if config.hydra.mode != RunMode.MULTIRUN or config.plan_only:
            return
        if job_return.status == JobStatus.FAILED:
            error = job_return._return_value
            log.error("failed: %s", error, exc_info=None if isinstance(error, ConfigError) else error)
            if config.hydra.sweeper._target_ == BASIC_SWEEPER:  # other sweepers count failures themselves
                job_return.status = JobStatus.COMPLETED
        log.info("sweep: %s", read_sweep_progress(Path(config.hydra.sweep.dir)).describe(is_running=True))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        if config.plan_only:
            return
        progress = read_sweep_progress(Path(config.hydra.sweep.dir))
        has_skipped = config.hydra.sweeper._target_ == BASIC_SWEEPER and progress.waiting
        if progress.failed or has_skipped:  # a job may have failed before it had a status
            sys.exit(1)


def write_sweep_report(folder: Path) -> None:
    """Write report.html and its tables into the sweep's folder, or say that no classifier was trained there."""
    if folder.is_dir():  # there is none if the sweep failed before its first job
        main([str(folder)])
