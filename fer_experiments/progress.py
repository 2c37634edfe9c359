"""Progress that a person can see: a bar on a terminal, a line in the log every ten seconds elsewhere."""

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
    """A function that is called with the number of steps done and, if useful, a note to show beside it."""

    def __call__(self, done: int, note: str = "") -> None: ...


def _shows_bars(console: Console) -> bool:
    """Whether to draw bars: on a terminal only, and in the main process only, because several can't share a line."""
    return console.is_terminal and multiprocessing.parent_process() is None


@contextmanager
def show_stage(name: str, total: int) -> Iterator[Advance]:
    """Show a stage of `total` steps; call the value of the block with how many are done."""
    console = Console()
    show = _show_bar if _shows_bars(console) else _log_lines
    with show(name, total, console) as advance:
        yield advance


def track(sequence: Sequence[T], name: str) -> Iterator[T]:
    """Iterate over the sequence as a stage called `name`."""
    with show_stage(name, len(sequence)) as advance:
        for done, item in enumerate(sequence):
            yield item
            advance(done + 1)


@contextmanager
def show_activity(name: str) -> Iterator[None]:
    """Show on a terminal that `name` is going on, and for how long. No stage can be shown inside the block."""
    console = Console()
    if not _shows_bars(console):
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    # When the interpreter exits, where a sweep's report is written, no thread can be started to turn the spinner.
    can_start_threads = threading.main_thread().is_alive()
    with Progress(*columns, console=console, transient=True, auto_refresh=can_start_threads) as progress:
        progress.add_task(name, total=None)
        progress.refresh()
        yield


@contextmanager
def _show_bar(name: str, total: int, console: Console) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(name, total=total, note="")
        yield lambda done, note="": progress.update(task, completed=done, note=note)


@contextmanager
def _log_lines(name: str, total: int, console: Console) -> Iterator[Advance]:
    last = time.monotonic()

    def advance(done: int, note: str = "") -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            log.info("%s: %d of %d %s", name, done, total, note)

    yield advance
