"""The seeds of a study, one after the other or side by side: each trains every arm, with one GAN."""

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fer_experiments.atomic_write import atomic_write
from fer_experiments.distributed import on_rank_zero
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.question import Question
from fer_experiments.progress import show_overall
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.report.write_report import write_report
from fer_experiments.train import seed_parts
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.plan.plan import Plan
from fer_experiments.train.seed_parts import SeedOutcome
from fer_experiments.train.settings import Settings
from fer_experiments.train.study_progress import StudyProgress

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
            workers: how many processes share the trainings.
            folder: the study's.
            plan: what the study will train, by which the time that is left is estimated; None: it is not.
        """
        self._plan = plan
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
        """How long the work of a seed takes in the mean, summed over the processes; None before the first one."""
        finished = len(self.record.finished_seeds)
        return sum(self.record.work.values()) / finished if finished else None

    def estimate_seconds(self, seeds: int) -> float | None:
        """Return how long so many more seeds take, by the plan or by those that are done; None if it is not known.

        The longer of the two, because other work on the machine may come or go.
        """
        planned = None if self._plan is None else self._plan.seconds_for(seeds)
        paced = None if self.seconds_of_seed is None else self.seconds_of_seed * max(1.0, seeds / self.workers)
        return max(filter(None, (planned, paced)), default=None)

    def plan(self, seeds: list[int]) -> None:
        """Say which seeds the study should train in all, as far as that is known."""
        self.record.seeds = seeds
        on_rank_zero(self.record.save)(self.folder)  # so that the question is known even if no seed is finished

    def train(self, seeds: list[int], before_report: Callable[[], None] | None = None) -> None:
        """Train every arm with these seeds, each of which trains a GAN of its own and, without
        data.split_seed, draws another split.

        With several workers, processes share the parts of all these seeds.

        before_report: is called after each seed, before the report of it is written.
        """
        for seed, outcome in zip(seeds, self._run(seeds), strict=True):
            self.record.add(seed, outcome.results, outcome.failed, outcome.work, self.seconds)
            self.trained.append(seed)
            if before_report is not None:
                before_report()
            self.write(outcome.folder if len(self.trained) == 1 else None)

    def _run(self, seeds: list[int]) -> Iterator[SeedOutcome]:
        if self.workers > 1:
            log.info("%d seeds, %d trainings side by side", len(seeds), self.workers)
        settings = [self.settings.with_seed(seed) for seed in seeds]
        return seed_parts.run_seeds(settings, self.arms, self.folder, self.workers)

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
