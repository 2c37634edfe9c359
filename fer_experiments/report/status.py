"""status.json: how far a job is, for whoever looks at its folder, and for the next start of the same command."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field

from fer_experiments.whole import whole

FILE = "status.json"
LOCK = "job.lock"  # held while the job runs; the system lets go of it when the process ends, however that comes


class Status(BaseModel):
    """state: as written; a job that is "running" but whose lock is free was interrupted (state_of). started: seconds
    since 1970; own: whether the folder was empty when the job first came to it, so that all in it is the job's.
    """

    model_config = ConfigDict(extra="forbid")

    state: Literal["running", "done", "failed"] = "running"
    overrides: list[str] = Field(default_factory=list)
    started: float = Field(default_factory=time.time)
    seconds: float | None = None
    host: str = Field(default_factory=socket.gethostname)
    pid: int = Field(default_factory=os.getpid)
    error: str = ""
    own: bool = True

    @property
    def who(self) -> str:
        return f"process {self.pid} on {self.host}"

    def ended(self, error: BaseException | None = None) -> "Status":
        """The same when the job has ended, with the error that ended it or without."""
        said = "" if error is None else f"{type(error).__name__}: {error}"
        state = "done" if error is None else "failed"
        return self.model_copy(update={"state": state, "error": said, "seconds": time.time() - self.started})

    def save(self, folder: Path) -> None:
        with whole(folder / FILE) as temporary:
            temporary.write_text(json.dumps(self.model_dump(), indent=1))

    @classmethod
    def load(cls, folder: Path) -> "Status | None":
        """None where no job has begun in the folder. Raises ValueError, with the file's name, where it is broken."""
        path = folder / FILE
        try:
            return cls.model_validate(json.loads(path.read_bytes()))  # pydantic's parser takes no names of odd bytes
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: is no status of a job: {error}") from None


def state_of(folder: Path, status: Status) -> str:
    """running, interrupted, done or failed."""
    if status.state != "running":
        return status.state
    try:
        with FileLock(folder / LOCK, blocking=False):
            return "interrupted"
    except (Timeout, PermissionError):  # who may not write there can't ask, and believes what is written
        return "running"


@contextmanager
def held(path: Path, say: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of that file; where another process has it, `say` so and wait until it lets go, or ends."""
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        say()
        lock.acquire(poll_interval=0.5)
    try:
        yield
    finally:
        lock.release()


def duration(seconds: float) -> str:
    """ "40 s", "12 min 5 s", "3 h 2 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
