"""Run the parts of several seeds, step by step, in this process or in several that share them."""

import heapq
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from joblib.externals.loky import get_reusable_executor, process_executor

from fer_experiments.exit_status import ConsoleHandler
from fer_experiments.progress import erase_bar
from fer_experiments.train.workers import count_threads
from fer_experiments.trainer.expected_warnings import ignore_expected_warnings
from fer_experiments.trainer.memory import keep_freed_memory

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
HEADING = "--- "  # how the log line begins that names an arm and its seed
IDLE_SECONDS = 300  # after which a process ends; a new one takes seconds to import torch
AHEAD = 2  # parts for each process, of which one runs


class Part(NamedTuple):
    """A part of the work of a seed: a function and its arguments."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


TimedValue: TypeAlias = tuple[Any, float]
"""What the function of a part has returned, and its seconds."""
Outcome = TypeVar("Outcome")
Steps: TypeAlias = Generator[list[Part], list[TimedValue], Outcome]
"""Gives the parts of a seed, step by step, takes what those of a step have returned, and returns an outcome."""


def run_steps(steps: Steps[Outcome]) -> Outcome:
    """Run one seed, part after part, in this process."""
    parts = next(steps)
    while True:
        try:
            parts = steps.send([_call(part) for part in parts])
        except StopIteration as stop:
            return stop.value


@dataclass
class OpenSeed(Generic[Outcome]):
    """A seed whose parts are being run.

    Attributes:
        number: its place among the seeds.
        seed: itself.
        steps: its further parts.
        step: how many steps are behind it.
        values: {place of a part in this step: what it has returned}.
        left: how many parts of this step are not done.
    """

    number: int
    seed: int
    steps: Steps[Outcome]
    step: int = -1
    values: dict[int, TimedValue] = field(default_factory=dict)
    left: int = 0


def run_side_by_side(seeds: Sequence[int], steps: Iterator[Steps[Outcome]], workers: int) -> Iterator[Outcome]:
    """Give the outcome of each seed, in their order, as soon as it and those before it are done.

    The parts of up to workers + 1 seeds run in so many processes: GANs before classifiers, because a seed's classifiers
    wait for its GANs, while no part waits for a classifier.
    """
    environment = dict.fromkeys(THREAD_VARIABLES, str(count_threads(workers)))
    executor = get_reusable_executor(
        workers, timeout=IDLE_SECONDS, initializer=_set_up_process, initargs=(os.getpid(),), env=environment
    )
    waiting = deque(enumerate(seeds))
    outcomes: dict[int, Outcome] = {}
    ready: list[tuple[int, int, int, OpenSeed[Outcome], Part]] = []  # a heap by step, seed and place of the part
    running: dict[Future[TimedValue], tuple[OpenSeed[Outcome], int]] = {}

    def advance(seed: OpenSeed[Outcome]) -> None:
        """Make the parts of the seed's next step ready."""
        values = [seed.values[place] for place in sorted(seed.values)]
        try:
            parts = seed.steps.send(values) if seed.step >= 0 else next(seed.steps)
        except StopIteration as stop:
            outcomes[seed.number] = stop.value
            return
        seed.step, seed.values, seed.left = seed.step + 1, {}, len(parts)
        for place, part in enumerate(parts):
            heapq.heappush(ready, (seed.step, seed.number, place, seed, part))
        if not parts:
            advance(seed)

    def submit() -> None:
        """Give the processes parts, with a few ahead for the time in which this one prepares a seed or a report."""
        while ready and len(running) < AHEAD * workers:
            *_, place, seed, part = heapq.heappop(ready)
            running[executor.submit(_call_in_process, seed.seed, part)] = seed, place

    try:
        for next_number in range(len(seeds)):
            while next_number not in outcomes:
                while waiting and waiting[0][0] - len(outcomes) <= workers:
                    number, seed_number = waiting.popleft()
                    advance(OpenSeed(number, seed_number, next(steps)))
                    submit()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    seed, place = running.pop(future)
                    seed.values[place] = future.result()
                    seed.left -= 1
                    if not seed.left:
                        advance(seed)
                submit()
            yield outcomes[next_number]
    except BaseException:  # also Ctrl-C: else the processes would go on
        executor.shutdown(kill_workers=True)
        raise


def _set_up_process(parent: int) -> None:
    """Prepare a process in which Hydra has set up nothing. parent: its process id."""
    _end_with(parent)
    ignore_expected_warnings()
    keep_freed_memory()
    logging.root.setLevel(logging.INFO)
    # With psutil, loky ends a process that has grown by 300 MB since its first part, which here is a light one, and a
    # new process takes seconds to import torch. What trainings need stays with the process by intention.
    process_executor._USE_PSUTIL = False


def _call(part: Part) -> TimedValue:
    """Return what the part's function returns, and the seconds that it takes."""
    started = time.monotonic()
    value = part.function(*part.arguments)
    return value, time.monotonic() - started


def _call_in_process(seed: int, part: Part) -> TimedValue:
    """Call a part of this seed; log lines name the seed."""
    console = ConsoleHandler(sys.stdout)
    console.setFormatter(SeedFormatter(seed))
    logging.root.handlers = [console]
    return _call(part)


class SeedFormatter(logging.Formatter):
    """Begins each line with the seed, but for the heading of an arm (HEADING), which names it."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return f"{erase_bar()}{text if text.startswith(HEADING) else f'seed {self.seed}: {text}'}"


def _end_with(parent: int) -> None:
    """End this process when its parent ends: else the processes of a killed study would write beside the next ones."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
