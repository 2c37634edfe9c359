"""The seeds of a study, one after the other or side by side: each trains every arm, with one GAN."""

import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import joblib

from fer_experiments.atomic_write import atomic_write
from fer_experiments.data.prepared import PreparedData
from fer_experiments.distributed import on_rank_zero
from fer_experiments.errors import ConfigError, StorageError
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.result import Result
from fer_experiments.progress import erase_bar, show_overall
from fer_experiments.report.study_record import StudyRecord, training_key
from fer_experiments.report.write_report import write_report
from fer_experiments.runs.data_files import write_data_files
from fer_experiments.train.arms.arm import Arm, group_by_generator
from fer_experiments.train.arms.audit_arms import audit_arms
from fer_experiments.train.arms.train_classifier import describe_result, train_classifier
from fer_experiments.train.arms.training_images import get_or_make_generated_images
from fer_experiments.train.gan.selection import count_generated_images
from fer_experiments.train.plan.plan import Plan
from fer_experiments.train.settings import Settings
from fer_experiments.train.study_progress import StudyProgress
from fer_experiments.trainer.expected_warnings import ignore_expected_warnings
from fer_experiments.trainer.memory import keep_freed_memory

log = logging.getLogger(__name__)


class StudyRun:
    """The trainings of a study: every arm with every seed, with the study's files and report after each seed.

    Attributes:
        record: the study as it stands.
        trained: the seeds that are done in this start.
        finished_before: the seeds that an earlier start of the study has finished, which cost next to nothing now.
    """

    def __init__(
        self,
        settings: Settings,
        arms: list[Arm],
        question: Question,
        workers: int,
        folder: Path,
        plan: Plan | None = None,
    ) -> None:
        """Begin, or continue, a study.

        Args:
            settings: the configuration.
            arms: those to compare.
            question: what is asked of the results.
            workers: how many seeds run side by side, each in a process.
            folder: the study's.
            plan: what the study will train, by which the time that is left is estimated; None: it is not.
        """
        self._progress = None if plan is None or plan.seconds_of_seed is None else StudyProgress(plan, arms, folder)
        self.settings, self.arms, self.workers, self.folder = settings, arms, workers, folder
        earlier = StudyRecord.load_or_none(folder) or StudyRecord(arms=[], seeds=[])
        self.finished_before = set(earlier.finished_seeds)
        self.trained: list[int] = []
        self._started = time.monotonic() - earlier.seconds
        self.record = StudyRecord(
            arms=[arm.name for arm in arms],
            seeds=[],
            question=question,
            seconds=earlier.seconds,
            work=earlier.work,
            finished_seeds=earlier.finished_seeds,
        )

    @property
    def seconds(self) -> float:
        """How long the study took so far, with its earlier starts up to their last finished seed."""
        return time.monotonic() - self._started

    @property
    def seconds_of_seed(self) -> float | None:
        """How long a seed takes in the mean, beside others that run at the same time; None before the first one."""
        finished = len(self.record.finished_seeds)
        return sum(self.record.work.values()) / finished if finished else None

    def plan(self, seeds: list[int]) -> None:
        """Say which seeds the study should train in all, as far as that is known."""
        self.record.seeds = seeds
        on_rank_zero(self.record.save)(self.folder)  # so that the question is known even if no seed is finished

    def train(self, seeds: list[int], before_report: Callable[[], None] | None = None) -> None:
        """Train every arm with these seeds, each of which trains a GAN of its own and, without
        data.split_seed, draws another split.

        before_report: is called after each seed, before the report of it is written.
        """
        if min(self.workers, len(seeds)) > 1:
            log.info("%d of %d seeds run side by side", min(self.workers, len(seeds)), len(seeds))
        run = _run_seed if self.workers == 1 else _run_seed_in_process
        calls = (joblib.delayed(run)(self.settings.with_seed(seed), self.arms, self.folder) for seed in seeds)
        # loky gives each of its processes cores / workers threads, on which the last digits of results depend: as many
        # for the last seed of a look, which runs alone.
        outcomes = joblib.Parallel(self.workers, backend="loky", return_as="generator")(calls)
        for seed, outcome in zip(seeds, outcomes, strict=True):
            self.record.add(seed, outcome.results, outcome.failed, outcome.work, self.seconds)
            self.trained.append(seed)
            if before_report is not None:
                before_report()
            self.write(outcome.folder if len(self.trained) == 1 else None)

    @contextmanager
    def show_progress(self) -> Iterator[None]:
        """Show how far the planned seeds are, if several processes train them; one process shows each training."""
        progress, seeds = self._progress, self.record.seeds
        if progress is None or self.workers == 1:
            yield
            return
        with show_overall(f"{len(seeds)} seeds", lambda: progress.describe(seeds)):
            yield

    def write(self, seed_folder: Path | None = None) -> None:
        """Write the study so far and its report. seed_folder: the first seed's, whose data files are the study's."""
        on_rank_zero(_write_study)(self.record, self.folder, seed_folder)

    def raise_failures(self) -> None:
        """Raise RuntimeError, which lists them, if trainings failed; ConfigError if all of them by mistakes."""
        failed = self.record.failed
        if failed:
            lines = "\n".join(f"  {training}: {error}" for training, error in failed.items())
            count = len(self.record.planned)
            is_mistake = all(error.startswith(ConfigError.__name__) for error in failed.values())
            kind = ConfigError if is_mistake else RuntimeError  # without a traceback, which would say nothing more
            raise kind(f"{len(failed)} of {count} trainings failed:\n{lines}")


def run_seeds(study: StudyRun, seeds: list[int]) -> None:
    """Train every arm with every seed. Raises RuntimeError if trainings failed, after all others have finished."""
    study.plan(seeds)
    with study.show_progress():
        study.train(seeds)
    study.raise_failures()


def _write_study(record: StudyRecord, folder: Path, seed_folder: Path | None) -> None:
    if seed_folder is not None:
        names = ("split.csv", "data.json", "near_duplicates.*", "test_clusters.csv")
        data_files = [file for name in names for file in seed_folder.glob(name)]
        for file in data_files:
            with atomic_write(folder / file.name) as temporary:
                shutil.copyfile(file, temporary)
    record.save(folder)
    write_report(record, folder)


@dataclass
class SeedOutcome:
    """What one seed left: results and failures of its arms, and the seconds of each part of its work."""

    folder: Path
    results: list[Result] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    work: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Note the seconds of the block as those of a part."""
        started = time.monotonic()
        yield
        self.work[part] = time.monotonic() - started


@dataclass(frozen=True)
class GANOutcome:
    """{class: folder of its generated images}, or the error that arms in need of them meet."""

    synthetic: dict[str, Path]
    error: Exception | None = None


def _run_seed(settings: Settings, arms: list[Arm], folder: Path) -> SeedOutcome:
    """Run one seed: the split, the generators that its arms share, the arms. A training that fails costs no other."""
    outcome = SeedOutcome(folder / f"seed_{settings.seed}")
    with outcome.timed("data"):
        data = PreparedData.prepare(settings.data, settings.seed)
        write_data_files(outcome.folder, data, count_generated_images(settings, data, arms))
    with outcome.timed("gan"):
        gans = {
            name: _train_gan(settings, data, group, outcome.folder / name)
            for name, group in group_by_generator(arms).items()
        }
    with outcome.timed("audit"):
        for name in dict.fromkeys(arm.gan_folder for arm in arms):
            folders = {outcome.folder / arm.folder: arm for arm in arms if arm.gan_folder == name}
            first = next(iter(folders.values()))
            synthetic = gans[name].synthetic if name in gans else {}
            audit_arms(settings.with_gan(first.gan), data, folders, synthetic, first.leak)
    with outcome.timed("classifiers"):
        for number, arm in enumerate(arms, start=1):
            log.info("--- seed %d, arm %d of %d: %s", settings.seed, number, len(arms), arm.name)
            _train_arm(settings.with_gan(arm.gan), data, arm, gans.get(arm.gan_folder), outcome)
    return outcome


def _train_gan(settings: Settings, data: PreparedData, arms: list[Arm], folder: Path) -> GANOutcome:
    """Train the generator that the arms share; only they meet its error."""
    try:
        generator_settings = settings.with_gan(arms[0].gan)
        return GANOutcome(get_or_make_generated_images(generator_settings, data, arms, folder, arms[0].leak))
    except StorageError:
        raise
    except Exception as error:
        if settings.trainer.is_distributed:
            raise
        names = ", ".join(arm.name for arm in arms)
        log.warning("no generated images for %s, which will fail: %s", names, error)
        return GANOutcome({}, error)


def _train_arm(settings: Settings, data: PreparedData, arm: Arm, gan: GANOutcome | None, outcome: SeedOutcome) -> None:
    """Train an arm, and add its result or its failure to the outcome.

    Raises StorageError: the next arm would find the disk full as well. On several devices any error is raised: it may
    have occurred on one rank alone, and the others would wait for that.
    """
    try:
        if gan is not None and gan.error is not None and arm.balance.needs_generated_images:
            raise gan.error
        synthetic = {} if gan is None else gan.synthetic
        result = train_classifier(settings, data, arm, synthetic, outcome.folder / arm.folder)
    except StorageError:
        raise
    except Exception as error:
        if settings.trainer.is_distributed:
            raise
        # What is wrong with the configuration says so itself.
        log.error("seed %d, %s failed: %s", settings.seed, arm.name, error, exc_info=not isinstance(error, ConfigError))
        outcome.failed[training_key(settings.seed, arm.name)] = f"{type(error).__name__}: {error}"
    else:
        outcome.results.append(result)
        log.info("%s", describe_result(result))


def _run_seed_in_process(settings: Settings, arms: list[Arm], folder: Path) -> SeedOutcome:
    """Run one seed in a process in which Hydra has set up nothing; log lines name the seed."""
    _end_with_parent()
    ignore_expected_warnings()
    keep_freed_memory()
    console = logging.StreamHandler(sys.stdout)
    console.setFormatter(logging.Formatter(f"{erase_bar()}seed {settings.seed}: %(message)s"))
    logging.root.handlers = [console]
    logging.root.setLevel(logging.INFO)
    return _run_seed(settings, arms, folder)


@cache
def _end_with_parent() -> None:
    """End this process when its parent ends: else the processes of a killed study would write beside the next ones."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
