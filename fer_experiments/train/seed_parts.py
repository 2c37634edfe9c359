"""The seeds of a study, by their parts: the data, the GANs that the arms share, their audits, the classifiers.

Parts of one kind do not need each other, so that several processes share the parts of all seeds.
"""

import heapq
import logging
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from joblib.externals.loky import get_reusable_executor

from fer_experiments.data.prepared import PreparedData
from fer_experiments.errors import ConfigError, StorageError
from fer_experiments.evaluation.result import Result
from fer_experiments.progress import erase_bar
from fer_experiments.report.study_record import training_key
from fer_experiments.runs.data_files import write_data_files
from fer_experiments.train.arms.arm import Arm, group_by_generator
from fer_experiments.train.arms.audit_arms import audit_arms
from fer_experiments.train.arms.train_classifier import describe_result, train_classifier
from fer_experiments.train.arms.training_images import generate_images, list_gans
from fer_experiments.train.gan.selection import count_generated_images
from fer_experiments.train.settings import Settings
from fer_experiments.train.workers import count_threads
from fer_experiments.trainer.expected_warnings import ignore_expected_warnings
from fer_experiments.trainer.memory import keep_freed_memory

log = logging.getLogger(__name__)
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
IDLE_SECONDS = 300  # after which a process ends; a new one takes seconds to import torch


@dataclass
class SeedOutcome:
    """What one seed left: results and failures of its arms, and the seconds of each kind of its parts."""

    folder: Path
    results: list[Result] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    work: dict[str, float] = field(default_factory=dict)


@dataclass
class GANOutcome:
    """{class: folder of its generated images}, or the error that arms in need of them meet."""

    synthetic: dict[str, Path] = field(default_factory=dict)
    error: str | None = None


class Part(NamedTuple):
    """A part of the work of a seed: a function and its arguments."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class SeedRun:
    """One seed: its data, what its parts have left so far, and the parts that come next.

    The parts of each of KINDS follow from the results of those before it.
    """

    KINDS = ("data", "gan", "audit", "classifiers")

    def __init__(self, settings: Settings, arms: Sequence[Arm], folder: Path) -> None:
        """Prepare the data. settings: with the seed; folder: the study's."""
        started = time.monotonic()
        self.settings, self.arms = settings, arms
        self.data = PreparedData.prepare(settings.data, settings.seed)
        self.gans: dict[str, GANOutcome] = {}
        self.outcome = SeedOutcome(folder / f"seed_{settings.seed}")
        self.outcome.work["data"] = time.monotonic() - started

    def list_parts(self, kind: str) -> list[Part]:
        return [*getattr(self, f"_list_{kind}_parts")()]

    def add(self, kind: str, value: Any, seconds: float) -> None:
        """Add what the function of a part has returned, and how long it took."""
        self.outcome.work[kind] = self.outcome.work.get(kind, 0.0) + seconds
        if kind == "gan":
            name, gan = value
            self.gans[name].synthetic |= gan.synthetic
            self.gans[name].error = self.gans[name].error or gan.error
        elif kind == "classifiers":
            arm, result = value
            if isinstance(result, Result):
                self.outcome.results.append(result)
            else:
                self.outcome.failed[training_key(self.settings.seed, arm)] = result

    def finish(self) -> SeedOutcome:
        """Return the outcome, its results in the order of the arms."""
        names = [arm.name for arm in self.arms]
        self.outcome.results.sort(key=lambda result: names.index(result.arm))
        return self.outcome

    def _list_data_parts(self) -> Iterator[Part]:
        needed = count_generated_images(self.settings, self.data, self.arms)
        yield Part(write_data_files, (self.outcome.folder, self.data, needed))

    def _list_gan_parts(self) -> Iterator[Part]:
        for name, group in group_by_generator(self.arms).items():
            self.gans[name] = GANOutcome()
            settings, place = self.settings.with_gan(group[0].gan), self.outcome.folder / name
            try:
                gans = list_gans(settings, self.data, group, place)
            except ConfigError as error:
                self.gans[name].error = _describe_failed_gan(group, error)
                continue
            for folder, needed in gans.items():
                yield Part(_train_gan, (name, settings, self.data, group, needed, folder))

    def _list_audit_parts(self) -> Iterator[Part]:
        for name in dict.fromkeys(arm.gan_folder for arm in self.arms):
            folders = {self.outcome.folder / arm.folder: arm for arm in self.arms if arm.gan_folder == name}
            first = next(iter(folders.values()))
            synthetic = self.gans[name].synthetic if name in self.gans else {}
            yield Part(audit_arms, (self.settings.with_gan(first.gan), self.data, folders, synthetic, first.leak))

    def _list_classifiers_parts(self) -> Iterator[Part]:
        for number, arm in enumerate(self.arms, start=1):
            title = f"seed {self.settings.seed}, arm {number} of {len(self.arms)}: {arm.name}"
            settings, gan = self.settings.with_gan(arm.gan), self.gans.get(arm.gan_folder, GANOutcome())
            yield Part(_train_arm, (title, settings, self.data, arm, gan, self.outcome.folder / arm.folder))


def run_seed(settings: Settings, arms: Sequence[Arm], folder: Path) -> SeedOutcome:
    """Run one seed, part after part, in this process. A training that fails costs no other. folder: the study's."""
    run = SeedRun(settings, arms, folder)
    for kind in SeedRun.KINDS:
        for part in run.list_parts(kind):
            run.add(kind, *_call(part))
    return run.finish()


def run_seeds_by_parts(
    seeds: Sequence[Settings], arms: Sequence[Arm], folder: Path, workers: int
) -> Iterator[SeedOutcome]:
    """Give the outcome of each seed, in their order, as soon as it and those before it are done.

    The parts of up to workers + 1 seeds run in so many processes: GANs before classifiers, because a seed's classifiers
    wait for its GANs, while no part waits for a classifier.

    seeds: the configuration with each seed; folder: the study's.
    """
    environment = dict.fromkeys(THREAD_VARIABLES, str(count_threads(workers)))
    executor = get_reusable_executor(workers, timeout=IDLE_SECONDS, env=environment)
    waiting = deque(enumerate(seeds))
    outcomes: dict[int, SeedOutcome] = {}
    ready: list[tuple[int, int, int, SeedRun, Part]] = []  # a heap by kind, seed and number of the part
    running: dict[Future[tuple[Any, float]], tuple[int, int, SeedRun]] = {}
    left: Counter[int] = Counter()  # parts of the kind at which a seed is

    def advance(number: int, run: SeedRun, kind: int) -> None:
        """Make the seed's parts of the kind ready; of the next one, if there are none."""
        if kind == len(SeedRun.KINDS):
            outcomes[number] = run.finish()
            return
        parts = run.list_parts(SeedRun.KINDS[kind])
        if not parts:
            advance(number, run, kind + 1)
            return
        left[number] = len(parts)
        for place, part in enumerate(parts):
            heapq.heappush(ready, (kind, number, place, run, part))

    try:
        for next_number in range(len(seeds)):
            while next_number not in outcomes:
                while waiting and waiting[0][0] - len(outcomes) <= workers:
                    number, settings = waiting.popleft()
                    advance(number, SeedRun(settings, arms, folder), 0)
                while ready and len(running) < workers:
                    kind, number, _, run, part = heapq.heappop(ready)
                    running[executor.submit(_call_in_process, run.settings.seed, part)] = kind, number, run
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    kind, number, run = running.pop(future)
                    run.add(SeedRun.KINDS[kind], *future.result())
                    left[number] -= 1
                    if not left[number]:
                        advance(number, run, kind + 1)
            yield outcomes[next_number]
    except BaseException:  # also Ctrl-C: else the processes would go on
        executor.shutdown(kill_workers=True)
        raise


def _call(part: Part) -> tuple[Any, float]:
    """Return what the part's function returns, and the seconds that it takes."""
    started = time.monotonic()
    value = part.function(*part.arguments)
    return value, time.monotonic() - started


def _call_in_process(seed: int, part: Part) -> tuple[Any, float]:
    """Call a part of this seed in a process in which Hydra has set up nothing; log lines name the seed."""
    _end_with_parent()
    ignore_expected_warnings()
    keep_freed_memory()
    console = logging.StreamHandler(sys.stdout)
    console.setFormatter(logging.Formatter(f"{erase_bar()}seed {seed}: %(message)s"))
    logging.root.handlers = [console]
    logging.root.setLevel(logging.INFO)
    return _call(part)


@cache
def _end_with_parent() -> None:
    """End this process when its parent ends: else the processes of a killed study would write beside the next ones."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _train_gan(
    name: str, settings: Settings, data: PreparedData, arms: list[Arm], needed: dict[str, int], folder: Path
) -> tuple[str, GANOutcome]:
    """Train a generator that the arms share; only they meet its error. name: of its folder, which is returned."""
    try:
        return name, GANOutcome(generate_images(settings, data, arms, needed, folder))
    except StorageError:
        raise
    except Exception as error:
        if settings.trainer.is_distributed:
            raise
        return name, GANOutcome(error=_describe_failed_gan(arms, error))


def _describe_failed_gan(arms: Sequence[Arm], error: Exception) -> str:
    """Log that the arms will fail; return the error as text."""
    names = ", ".join(arm.name for arm in arms)
    log.warning("no generated images for %s, which will fail: %s", names, error, exc_info=_is_unexpected(error))
    return _describe(error)


def _train_arm(
    title: str, settings: Settings, data: PreparedData, arm: Arm, gan: GANOutcome, folder: Path
) -> tuple[str, Result | str]:
    """Train an arm; return its name with its result, or with its error as text.

    Raises StorageError: the next arm would find the disk full as well. On several devices any error is raised: it may
    have occurred on one rank alone, and the others would wait for that.
    """
    log.info("--- %s", title)
    if gan.error is not None and arm.balance.needs_generated_images:
        log.error("seed %d, %s failed: %s", settings.seed, arm.name, gan.error)
        return arm.name, gan.error
    try:
        result = train_classifier(settings, data, arm, gan.synthetic, folder)
    except StorageError:
        raise
    except Exception as error:
        if settings.trainer.is_distributed:
            raise
        log.error("seed %d, %s failed: %s", settings.seed, arm.name, error, exc_info=_is_unexpected(error))
        return arm.name, _describe(error)
    log.info("%s", describe_result(result))
    return arm.name, result


def _is_unexpected(error: Exception) -> bool:
    """Whether a traceback says more than the error; what is wrong with the configuration says so itself."""
    return not isinstance(error, ConfigError)


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
