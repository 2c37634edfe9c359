"""train=study: every arm on the same splits with as many optimizer steps, one GAN for each seed, one table."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.question import Question
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.train.arms.compose import compose_arms, full_name
from fer_experiments.train.check_training import check_accumulation, check_study_starts_anew
from fer_experiments.train.job import Job
from fer_experiments.train.settings import Settings
from fer_experiments.train.sweep_objective import valid_balanced_accuracy

Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Study(Job, Question):
    """Train every arm with every seed, and compare them.

    seeds: how many, from the run's seed on, or a list. arms: names as compose_arms takes them. workers: processes that
    run seeds side by side, each with its share of the processor's cores; auto: as choose_workers says. Question's
    fields say what is asked of the results.
    """

    seeds: Annotated[int, Field(ge=1)] | Annotated[list[Seed], Field(min_length=1)]
    arms: Annotated[list[str], Field(min_length=1)]
    workers: Annotated[int, Field(ge=1)] | Literal["auto"]

    @field_validator("arms", "seeds")
    @classmethod
    def _check_each_once(cls, values: list | int) -> list | int:
        if isinstance(values, list) and len(set(values)) < len(values):
            raise ValueError(f"names something twice: {values}")
        return values

    def check(self, settings: Settings) -> None:
        if settings.trainer.is_distributed and self.workers not in (1, "auto"):
            raise ConfigError(
                f"train.workers={self.workers}: seeds run side by side on one device each; use train.workers=1"
            )
        check_study_starts_anew(settings)
        check_accumulation(settings, compose_arms(self.arms, settings))

    def check_with_torch(self, settings: Settings) -> None:
        from fer_experiments.train.equal_cost import check_equal_cost

        check_equal_cost(settings, compose_arms(self.arms, settings))

    def run(self, settings: Settings, folder: Path) -> None:
        from fer_experiments.train.seeds import choose_workers, run_seeds

        arms = compose_arms(self.arms, settings)
        seeds = self.seeds if isinstance(self.seeds, list) else [settings.seed + n for n in range(self.seeds)]
        workers = choose_workers(settings.trainer, len(seeds)) if self.workers == "auto" else self.workers
        run_seeds(settings, arms, seeds, self._question(settings), workers, folder)

    def _question(self, settings: Settings) -> Question:
        fields = self.model_dump(include=set(Question.model_fields))
        return Question(**fields | {"baseline": full_name(self.baseline, settings)})

    def check_objective(self, settings: Settings) -> None:
        if all(arm.leak for arm in compose_arms(self.arms, settings)):
            raise ConfigError(
                f"hydra/sweeper: all of train.arms={self.arms} leak, so that test images would choose; name an arm "
                "without @leak"
            )

    def objective(self, folder: Path) -> float:
        return valid_balanced_accuracy(StudyRecord.load(folder).results)
