"""How far a sweep is: what was planned, as sweep.json in its folder says, and the status of each of its jobs."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig
from pydantic import BaseModel, ConfigDict

from fer_experiments.identity import matters
from fer_experiments.report.status import FILE as STATUS
from fer_experiments.report.status import Status, duration, state_of
from fer_experiments.whole import whole

FILE = "sweep.json"
BASIC = f"{BasicSweeper.__module__}.{BasicSweeper.__name__}"
PASSED_OVER = ("synthetic", "samples", "checkpoints")  # many files, none of them a job's status


class Plan(BaseModel):
    """What a sweep was asked. started: when it was (again), in seconds since 1970; total: its jobs, None: unknown.

    jobs: the overrides of each, less those of no matter; None where the sweeper chooses them on its way.
    """

    model_config = ConfigDict(extra="forbid")

    started: float
    total: int | None
    jobs: list[list[str]] | None = None

    @classmethod
    def of(cls, config: DictConfig) -> "Plan":
        """Of a composed sweep, while Hydra is set up for it."""
        sweeper = config.hydra.sweeper
        if sweeper._target_ != BASIC:
            return cls(started=time.time(), total=sweeper.get("n_trials"))
        asked = [f"{key}={value}" for key, value in (sweeper.params or {}).items()] + list(config.hydra.overrides.task)
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        (jobs,) = BasicSweeper.split_arguments(parser.parse_overrides(asked), None)
        return cls(started=time.time(), total=len(jobs), jobs=[_own(job) for job in jobs])

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with whole(folder / FILE) as temporary:
            temporary.write_text(json.dumps(self.model_dump(), indent=1))

    @classmethod
    def load(cls, folder: Path) -> "Plan":
        """Raises ValueError, with the file's name, where it is missing or broken."""
        try:
            return cls.model_validate(json.loads((folder / FILE).read_bytes()))
        except (OSError, ValueError) as error:
            raise ValueError(f"{folder / FILE}: is no plan of a sweep: {error}") from None


class JobState(BaseModel):
    """folder: relative to the sweep's; own: the overrides that not all jobs have; state: running, interrupted, done or
    failed; seconds: so far, or in all.
    """

    folder: str
    own: list[str]
    state: str
    started: float
    seconds: float
    error: str = ""
    log: str = ""

    @property
    def told(self) -> str:
        """ "failed: OSError: no space", "running for 5 min 2 s"."""
        if self.state == "running":
            return f"running for {duration(self.seconds)}"
        return f"{self.state}: {self.error}" if self.error else self.state


class Progress(BaseModel):
    """jobs: those that have begun; waiting: how many have not, None: unknown."""

    folder: str
    jobs: list[JobState]
    waiting: int | None
    started: float

    @property
    def done(self) -> list[JobState]:
        return [job for job in self.jobs if job.state == "done"]

    @property
    def failed(self) -> list[JobState]:
        return [job for job in self.jobs if job.state == "failed"]

    def said(self, going_on: bool = False) -> str:
        """ "3 of 6 jobs done, 1 running, 1 failed, 1 waiting; about 5 min left"; going_on: though no job is running."""
        counts = Counter(job.state for job in self.jobs)
        total = "" if self.waiting is None else f" of {len(self.jobs) + self.waiting}"
        rest = [f"{counts[state]} {state}" for state in ("running", "failed", "interrupted") if counts[state]]
        rest += [f"{self.waiting} waiting"] if self.waiting else []
        left = self.left() if going_on or counts["running"] else None
        said = ", ".join([f"{counts['done']}{total} jobs done", *rest])
        return said if left is None else f"{said}; about {duration(left)} left"

    def left(self) -> float | None:
        """Seconds until all are done, by the mean of the done ones and by how many ran at a time since the start.

        None where nothing is left to do, or too little is known.
        """
        done = [job.seconds for job in self.done]
        now = [job for job in self.jobs if job.started >= self.started]
        together = sum(job.seconds for job in now) / max(time.time() - self.started, 1e-3)
        if not done or not together or self.waiting is None:
            return None
        mean = sum(done) / len(done)
        again = [job for job in self.jobs if job not in now and job.state in ("failed", "interrupted")]
        running = [max(mean - job.seconds, 0.0) for job in now if job.state == "running"]
        ahead = self.waiting + len(again)
        return (mean * ahead + sum(running)) / together if ahead or running else None

    @property
    def open(self) -> list[JobState]:
        """The jobs that have begun and are not done."""
        return [job for job in self.jobs if job.state != "done"]

    def lines(self) -> list[str]:
        """What was said of the whole, and each open job, with its error and its log."""
        told = [f"  {' '.join(job.own) or job.folder}: {job.told} (log: {job.log})" for job in self.open]
        return [f"{self.folder}: {self.said()}", *told]


def progress_of(folder: Path) -> Progress:
    """Of the sweep in the folder. Raises ValueError where its files are missing or broken."""
    plan = Plan.load(folder)
    found = [(place, status) for place in _with(STATUS, folder) if (status := Status.load(place)) is not None]
    own = {place: tuple(_own(status.overrides)) for place, status in found}
    planned = set(own.values()) if plan.jobs is None else {tuple(job) for job in plan.jobs}
    shared = set.intersection(*map(set, planned)) if planned else set()
    jobs = [
        _job(place, status, folder, [override for override in own[place] if override not in shared])
        for place, status in found
        if own[place] in planned
    ]
    waiting = None if plan.total is None else max(plan.total - len(jobs), 0)
    return Progress(folder=str(folder), jobs=jobs, waiting=waiting, started=plan.started)


def sweeps_in(folders: Iterable[Path]) -> list[Progress]:
    """Of each sweep in or below the folders."""
    return [progress_of(place) for place in dict.fromkeys(place for folder in folders for place in _with(FILE, folder))]


def _job(place: Path, status: Status, folder: Path, own: list[str]) -> JobState:
    seconds = time.time() - status.started if status.seconds is None else status.seconds
    log = next((str(path) for path in sorted(place.glob("*.log"))), "")
    return JobState(
        folder=place.relative_to(folder).as_posix(),
        own=own,
        state=state_of(place, status),
        started=status.started,
        seconds=seconds,
        error=status.error,
        log=log,
    )


def _own(overrides: Sequence[str]) -> list[str]:
    return sorted(filter(matters, overrides))


def _with(name: str, folder: Path) -> list[Path]:
    """The folders in or below one that hold a file of that name, none below another."""
    found = []
    for place, names, files in os.walk(folder):
        names[:] = [] if name in files else sorted(one for one in names if one not in PASSED_OVER)
        found += [Path(place)] if name in files else []
    return found
