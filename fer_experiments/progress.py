"""Progress that a person can see: a bar on a terminal, a line in the log every ten seconds elsewhere."""

import logging
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

log = logging.getLogger(__name__)
T = TypeVar("T")
Estimate = Callable[[], tuple[float, str]]
"""Returns the share of a work that is done, from 0 to 1, and how long the rest takes, in words."""
SECONDS_BETWEEN_LINES = 10.0
SECONDS_BETWEEN_ESTIMATES, SECONDS_BETWEEN_OVERALL_LINES = 1.0, 60.0
_overall_is_shown = False


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
    show = _show_bar if _shows_bars(console) and not _overall_is_shown else _log_lines
    with show(name, total, console) as advance:
        yield advance


def track(sequence: Sequence[T], name: str) -> Iterator[T]:
    """Iterate over the sequence as a stage called `name`."""
    with show_stage(name, len(sequence)) as advance:
        for done, item in enumerate(sequence):
            yield item
            advance(done + 1)


@contextmanager
def show_overall(name: str, estimate: Estimate) -> Iterator[None]:
    """Show how far the work of several processes is: a bar on a terminal, a line in the log every minute elsewhere.

    No other bar is drawn meanwhile. Log lines to standard output appear above it; another process begins its lines with
    `erase_bar()`.

    Args:
        name: what is done.
        estimate: says how much is done and how long the rest takes.
    """
    global _overall_is_shown
    console = Console()
    is_bar = _shows_bars(console)
    show = _draw_overall if is_bar else _log_overall
    _overall_is_shown = is_bar
    try:
        with show(name, estimate, console):
            yield
    finally:
        _overall_is_shown = False


def erase_bar() -> str:
    """Return what a log line of another process begins with, so that it stands in the place of a bar; "" elsewhere."""
    return "\r\x1b[2K" if sys.stdout.isatty() else ""


@contextmanager
def show_activity(name: str) -> Iterator[None]:
    """Show on a terminal that `name` is going on, and for how long. No stage can be shown inside the block."""
    console = Console()
    if not _shows_bars(console) or _overall_is_shown:
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


@contextmanager
def _draw_overall(name: str, estimate: Estimate, console: Console) -> Iterator[None]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[left]}"))
    handlers = [each for each in logging.root.handlers if isinstance(each, logging.StreamHandler)]
    handlers = [handler for handler in handlers if handler.stream is sys.stdout]
    plain = sys.stdout
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(name, total=1.0, left="")

        def update() -> None:
            share, left = estimate()
            progress.update(task, completed=share, left=left)

        for handler in handlers:
            handler.setStream(sys.stdout)  # which prints above the bar now
        try:
            update()
            with _repeat(update, SECONDS_BETWEEN_ESTIMATES):
                yield
        finally:
            for handler in handlers:
                handler.setStream(plain)


@contextmanager
def _log_overall(name: str, estimate: Estimate, console: Console) -> Iterator[None]:
    def write() -> None:
        share, left = estimate()
        log.info("%s: %.0f%% done, %s", name, 100 * share, left)

    with _repeat(write, SECONDS_BETWEEN_OVERALL_LINES):
        yield


@contextmanager
def _repeat(function: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call the function every so many seconds in a thread, until the block ends."""
    ended = threading.Event()

    def call() -> None:
        while not ended.wait(seconds):
            function()

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
