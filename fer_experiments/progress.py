"""Progress that a person can see: a bar on a terminal, a line now and then elsewhere."""

import logging
import multiprocessing
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

log = logging.getLogger(__name__)
T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0


class Advance(Protocol):
    def __call__(self, done: int, note: str = "") -> None: ...


def _shows(console: Console) -> bool:
    """Whether bars are for it: on a terminal, and of its main process, as several can't share one."""
    return console.is_terminal and multiprocessing.parent_process() is None


@contextmanager
def stage(what: str, total: int) -> Iterator[Advance]:
    """Show `what` as a stage of `total` steps; call the value with how many are done."""
    console = Console()
    show = _bar if _shows(console) else _lines
    with show(what, total, console) as advance:
        yield advance


def track(sequence: Sequence[T], what: str) -> Iterator[T]:
    """Iterate with progress."""
    with stage(what, len(sequence)) as advance:
        for done, item in enumerate(sequence):
            yield item
            advance(done + 1)


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Show, on a terminal alone, that `what` goes on, and for how long. No stage can be shown within."""
    console = Console()
    if not _shows(console):
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    turning = threading.main_thread().is_alive()  # at exit, where a sweep's report is written, no thread can be started
    with Progress(*columns, console=console, transient=True, auto_refresh=turning) as progress:
        progress.add_task(what, total=None)
        progress.refresh()
        yield


@contextmanager
def _bar(what: str, total: int, console: Console) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(what, total=total, note="")
        yield lambda done, note="": progress.update(task, completed=done, note=note)


@contextmanager
def _lines(what: str, total: int, console: Console) -> Iterator[Advance]:
    last = time.monotonic()

    def advance(done: int, note: str = "") -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            log.info("%s: %d of %d %s", what, done, total, note)

    yield advance
