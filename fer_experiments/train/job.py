"""What every job is: what conf/train/ names."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from fer_experiments.strict_config import StrictConfig
from fer_experiments.train.settings import Settings

if TYPE_CHECKING:
    from fer_experiments.train.plan.plan import Plan


class Job(StrictConfig, ABC):
    """A job. Its fields are the keys of its file in conf/train/.

    takes_checkpoint: whether it works on the classifier of `checkpoint`, which other jobs refuse.
    """

    takes_checkpoint: ClassVar[bool] = False

    @abstractmethod
    def run(self, settings: Settings, folder: Path, plan: "Plan | None" = None) -> None:
        """Do the job; everything that it leaves is in `folder`. plan: by which the time that is left is estimated."""

    def check(self, settings: Settings) -> None:
        """Raise ConfigError for what can be known to be wrong before any work, and before torch is imported."""

    def check_with_torch(self, settings: Settings) -> None:
        """Raise ConfigError for what can be known to be wrong before any work, but not without torch."""

    def plan(self, settings: Settings, folder: Path | None = None) -> "Plan | None":
        """Return what the job will train, or None if it trains nothing.

        folder: the job's, where it may have begun. Raises ConfigError if the data can't be used.
        """
        return None

    def list_seeds(self, settings: Settings) -> list[int]:
        """Return the seeds with which the job trains, as many as there may be."""
        return [settings.seed]

    def can_continue(self, folder: Path) -> bool:
        """Whether this job would do more in `folder`, where the same command has finished with smaller limits."""
        return False

    @abstractmethod
    def check_objective(self, settings: Settings) -> None:
        """Raise ConfigError if the finished job would have no `objective` for a search."""

    @abstractmethod
    def objective(self, folder: Path) -> float:
        """Return what a search maximizes, from the files of the finished job (train/sweep_objective.py)."""
