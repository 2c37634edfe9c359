"""The progress of a sweep: its planned jobs, as sweep.json in its folder lists them, and the status of each."""

import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel

from fer_experiments.json_record import JSONRecord
from fer_experiments.run_naming import is_hashed
from fer_experiments.runs.status import Status, format_duration, job_state

BASIC_SWEEPER = f"{BasicSweeper.__module__}.{BasicSweeper.__name__}"
INTERPOLATION = re.compile(r"\$\\{(.*?)\\}")
SKIPPED_FOLDERS = ("synthetic", "samples", "checkpoints")  # they hold many files, and no job's status


class SweepPlan(JSONRecord):
    """sweep.json: what a sweep was asked to do.

    started: seconds since 1970, when it was last started. total: how many jobs it has, None if that is not known.
    jobs: the overrides of each job that change what it does; None if the sweeper chooses them as it goes.
    """

    file_name: ClassVar[str] = "sweep.json"
    description: ClassVar[str] = "the plan of a sweep"

    started: float
    total: int | None
    jobs: list[list[str]] | None = None

    @classmethod
    def from_config(cls, config: DictConfig) -> "SweepPlan":
        """Plan the composed sweep for which Hydra is set up now."""
        sweeper = config.hydra.sweeper
        if sweeper._target_ != BASIC_SWEEPER:
            return cls(started=time.time(), total=sweeper.get("n_trials"))
        jobs = list_sweep_jobs(config)
        return cls(started=time.time(), total=len(jobs), jobs=[_hashed_overrides(job) for job in jobs])


def list_sweep_jobs(config: DictConfig) -> list[list[str]]:
    """Return the overrides of each job of the composed sweep, for which Hydra is set up now, with its own sweeper."""
    overrides = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    typed = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)  # each job resolves interpolations
    assert isinstance(typed, list)
    overrides += typed
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides(overrides), None)
    return jobs


class JobProgress(BaseModel):
    """A job of a sweep that has begun.

    folder: relative to the sweep's; overrides: those in which it differs from other jobs; state: running, interrupted,
    done or failed; started: seconds since 1970; seconds: so far, or in all; log: the path of its log file.
    """

    folder: str
    overrides: list[str]
    state: str
    started: float
    seconds: float
    error: str = ""
    log: str = ""

    def describe(self) -> str:
        """Return "failed: OSError: no space" or "running for 5 min 2 s"."""
        if self.state == "running":
            return f"running for {format_duration(self.seconds)}"
        return f"{self.state}: {self.error}" if self.error else self.state


class SweepProgress(BaseModel):
    """jobs: those that have begun; waiting: how many have not, None if that is not known; started: as SweepPlan's."""

    folder: str
    jobs: list[JobProgress]
    waiting: int | None
    started: float

    @property
    def done(self) -> list[JobProgress]:
        return [job for job in self.jobs if job.state == "done"]

    @property
    def failed(self) -> list[JobProgress]:
        return [job for job in self.jobs if job.state == "failed"]

    @property
    def unfinished(self) -> list[JobProgress]:
        """The jobs that have begun and are not done."""
        return [job for job in self.jobs if job.state != "done"]

    def describe(self, is_running: bool = False) -> str:
        """Return "3 of 6 jobs done, 1 running, 1 failed, 1 waiting; about 5 min left".

        is_running: say how much time is left even while no job is running, as between two jobs.
        """
        counts = Counter(job.state for job in self.jobs)
        total = "" if self.waiting is None else f" of {len(self.jobs) + self.waiting}"
        rest = [f"{counts[state]} {state}" for state in ("running", "failed", "interrupted") if counts[state]]
        rest += [f"{self.waiting} waiting"] if self.waiting else []
        seconds = self.seconds_left() if is_running or counts["running"] else None
        text = ", ".join([f"{counts['done']}{total} jobs done", *rest])
        return text if seconds is None else f"{text}; about {format_duration(seconds)} left"

    def seconds_left(self) -> float | None:
        """Estimate when all jobs are done, by the mean time of those that are and by how many run side by side.

        None if nothing is left to do, or no job is done yet.
        """
        durations = [job.seconds for job in self.done]
        current = [job for job in self.jobs if job.started >= self.started]
        parallel = sum(job.seconds for job in current) / max(time.time() - self.started, 1e-3)
        if not durations or not parallel or self.waiting is None:
            return None
        mean = sum(durations) / len(durations)
        retried = [job for job in self.jobs if job not in current and job.state in ("failed", "interrupted")]
        running = [max(mean - job.seconds, 0.0) for job in current if job.state == "running"]
        waiting = self.waiting + len(retried)
        return (mean * waiting + sum(running)) / parallel if waiting or running else None

    def lines(self) -> list[str]:
        """Describe the sweep in one line, then each unfinished job with its error and its log."""
        jobs = [
            f"  {' '.join(job.overrides) or job.folder}: {job.describe()} (log: {job.log})" for job in self.unfinished
        ]
        return [f"{self.folder}: {self.describe()}", *jobs]


def read_sweep_progress(folder: Path) -> SweepProgress:
    """Read the progress of the sweep in `folder`. Raises ValueError if its files are missing or can't be read."""
    plan = SweepPlan.load(folder)
    statuses = {place: Status.load(place) for place in _folders_with(Status.file_name, folder)}
    overrides = {place: tuple(_hashed_overrides(status.overrides)) for place, status in statuses.items()}
    planned = set(overrides.values()) if plan.jobs is None else {tuple(job) for job in plan.jobs}
    shared = set.intersection(*map(set, planned)) if planned else set()
    jobs = [
        _job_progress(place, status, folder, [override for override in overrides[place] if override not in shared])
        for place, status in statuses.items()
        if overrides[place] in planned
    ]
    if plan.jobs is None:
        waiting = None if plan.total is None else max(plan.total - len(jobs), 0)
    else:
        waiting = len(planned.difference(overrides.values()))
    return SweepProgress(folder=str(folder), jobs=jobs, waiting=waiting, started=plan.started)


def find_sweeps(folders: Iterable[Path]) -> list[SweepProgress]:
    """Read the progress of every sweep in or below the folders."""
    places = dict.fromkeys(place for folder in folders for place in _folders_with(SweepPlan.file_name, folder))
    return [read_sweep_progress(place) for place in places]


def _job_progress(place: Path, status: Status, folder: Path, overrides: list[str]) -> JobProgress:
    seconds = time.time() - status.started if status.seconds is None else status.seconds
    log = next((str(path) for path in sorted(place.glob("*.log"))), "")
    return JobProgress(
        folder=place.relative_to(folder).as_posix(),
        overrides=overrides,
        state=job_state(place, status),
        started=status.started,
        seconds=seconds,
        error=status.error,
        log=log,
    )


def _hashed_overrides(overrides: Sequence[str]) -> list[str]:
    """Return those that change what a job does, with interpolations as they are typed; Hydra gives them escaped."""
    return sorted(INTERPOLATION.sub(r"${\1}", override) for override in filter(is_hashed, overrides))


def _folders_with(name: str, folder: Path) -> list[Path]:
    """Return the folders in or below `folder` that hold a file of this name; below such a folder none is searched."""
    matches = []
    for place, names, files in os.walk(folder):
        names[:] = [] if name in files else sorted(each for each in names if each not in SKIPPED_FOLDERS)
        matches += [Path(place)] if name in files else []
    return matches
