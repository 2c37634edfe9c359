"""train=evaluate: measure a trained classifier on other images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from fer_experiments.errors import ConfigError
from fer_experiments.train.job import Job
from fer_experiments.train.settings import Settings

if TYPE_CHECKING:
    from fer_experiments.train.plan.plan import Plan

UNUSED_KEYS = ("imbalance", "test_counts")  # of data; they choose images, and every image is measured


class Evaluate(Job):
    """Measure the classifier of `checkpoint` on the images of `data` that its training did not use.

    level: of the intervals.
    """

    takes_checkpoint: ClassVar[bool] = True
    level: Annotated[float, Field(gt=0, lt=1)]

    def check(self, settings: Settings) -> None:
        if settings.ckpt_path is not None:
            raise ConfigError(f"ckpt_path={settings.ckpt_path}: train=evaluate trains nothing; leave it out")
        for key in UNUSED_KEYS:
            value = getattr(settings.data, key)
            if value is not None:
                raise ConfigError(f"data.{key}={value}: train=evaluate measures every image; leave it out")

    def run(self, settings: Settings, folder: Path, plan: "Plan | None" = None) -> None:
        from fer_experiments.train.run_evaluation import run_evaluation

        run_evaluation(settings, self.level, folder)

    def check_objective(self, settings: Settings) -> None:
        raise ConfigError(
            "hydra/sweeper: train=evaluate has nothing to maximize: images that choose a classifier can't say how good "
            "it is on others; use train=cnn, which is chosen on validation images"
        )

    def objective(self, folder: Path) -> float:
        raise NotImplementedError
