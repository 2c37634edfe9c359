"""status.json: the state of a job, for whoever looks at its folder and for the next start of the same command."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Literal

from filelock import FileLock, Timeout
from pydantic import AliasChoices, Field

from fer_experiments.json_record import JSONRecord

LOCK_FILE = "job.lock"  # locked while the job runs; the system unlocks it when the process ends, however that happens


class Status(JSONRecord):
    """What a job last wrote of itself. If `state` is "running" but the lock is free, it was interrupted (job_state).

    started: seconds since 1970. seconds: how long the job ran; None until it ends. folder_was_empty: whether the folder
    was empty when the job first came to it, so that everything in it is the job's. files: the names of what lay in the
    folder when the job ended.
    """

    file_name: ClassVar[str] = "status.json"
    description: ClassVar[str] = "a status of a job"

    state: Literal["running", "done", "failed"] = "running"
    overrides: list[str] = Field(default_factory=list)
    started: float = Field(default_factory=time.time)
    seconds: float | None = None
    host: str = Field(default_factory=socket.gethostname)
    pid: int = Field(default_factory=os.getpid)
    error: str = ""
    files: list[str] = Field(default_factory=list)
    folder_was_empty: bool = Field(True, validation_alias=AliasChoices("folder_was_empty", "own"))  # own: until 0.1.0

    @classmethod
    def find(cls, folder: Path) -> "Status | None":
        """Return the status in the folder, None if no job has begun there. Raises ValueError if it can't be read."""
        return cls.load(folder) if (folder / cls.file_name).exists() else None

    @property
    def process(self) -> str:
        """Return "process 123 on myhost"."""
        return f"process {self.pid} on {self.host}"

    def ended(self, error: BaseException | None = None) -> "Status":
        """Return the status for the end of the job: failed with this error, or done."""
        text = "" if error is None else f"{type(error).__name__}: {error}"
        state = "done" if error is None else "failed"
        return self.model_copy(update={"state": state, "error": text, "seconds": time.time() - self.started})


def job_state(folder: Path, status: Status) -> str:
    """Return running, interrupted, done or failed."""
    if status.state != "running":
        return status.state
    try:
        with FileLock(folder / LOCK_FILE, blocking=False):
            return "interrupted"
    except (Timeout, PermissionError):  # without permission to lock the file, the written state is believed
        return "running"


@contextmanager
def hold_lock(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of the file `path`. If another process has it, call `on_wait` and wait until that releases it."""
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        on_wait()
        lock.acquire(poll_interval=0.5)
    try:
        yield
    finally:
        lock.release()


def format_duration(seconds: float) -> str:
    """Return "40 s", "12 min 5 s", "30 min" or "3 h 2 min"."""
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    minutes, rest = divmod(rounded, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min"), (0 if hours else rest, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
