"""train=study: every arm on the same splits with as many optimizer steps, one GAN for each seed, one table."""

import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.looks import plan_looks
from fer_experiments.evaluation.question import Question
from fer_experiments.report.study_record import Growth, StudyRecord
from fer_experiments.train.arms.compose import baseline_name, compose_arms
from fer_experiments.train.check_training import (
    check_baseline,
    check_gan_trainings,
    check_generators,
    check_pretrained,
    check_study_starts_anew,
)
from fer_experiments.train.job import Job
from fer_experiments.train.length import shorten
from fer_experiments.train.settings import Settings
from fer_experiments.train.sweep_objective import valid_balanced_accuracy

if TYPE_CHECKING:
    from fer_experiments.train.plan.plan import Plan

DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)min)?(?:(\d+)s)?")


def _parse_duration(value: Any) -> Any:
    """Return the seconds of "30min" or "1h30min". Raises ValueError for a number, which has no unit."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"has no unit; give {value}min, {value}s or {value}h")
    if not isinstance(value, str):
        return value
    match = DURATION.fullmatch(value)
    if match is None or not value:
        raise ValueError(f"{value!r} is not a duration; give 90s, 30min, 2h or 1h30min")
    hours, minutes, seconds = (float(number or 0) for number in match.groups())
    return 3600 * hours + 60 * minutes + seconds


Duration = Annotated[float, BeforeValidator(_parse_duration), Field(gt=0)]
"""Seconds; a user may write 30min or 2h."""
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Study(Job, Question):
    """Train every arm with every seed, and compare them.

    seeds: how many, from the run's seed on, or a list; auto: as many as settle the verdict. max_seeds: the most of them
    with seeds=auto; None: the last of evaluation/looks.py's LOOKS. budget: the seconds that a study with
    seeds=auto may take; None: any time. length: the share of their configured lengths that all generators and
    classifiers get; auto: as much as lets the first look fit the budget, when the study begins. arms: names as
    compose_arms takes them. workers: processes that share the GANs and classifiers, each with its share of the
    processor's cores; auto: as choose_workers says. Question's fields say what is asked of the results.
    """

    seeds: Annotated[int, Field(ge=1)] | Annotated[list[Seed], Field(min_length=1)] | Literal["auto"]
    max_seeds: Annotated[int, Field(ge=2)] | None
    budget: Duration | None
    length: Annotated[float, Field(gt=0, le=1)] | Literal["auto"]
    arms: Annotated[list[str], Field(min_length=1)]
    workers: Annotated[int, Field(ge=1)] | Literal["auto"]

    @field_validator("arms", "seeds")
    @classmethod
    def _check_each_once(cls, values: list | int | str) -> list | int | str:
        repeated = [value for value, count in Counter(values).items() if count > 1] if isinstance(values, list) else []
        if repeated:
            raise ValueError(f"has {', '.join(map(str, repeated))} more than once; leave one out")
        return values

    def check(self, settings: Settings) -> None:
        if settings.trainer.is_distributed and self.workers not in (1, "auto"):
            raise ConfigError(
                f"train.workers={self.workers}: trainings run side by side on one device each; use train.workers=1"
            )
        is_growing = self.seeds == "auto" and self.budget is not None
        if self.length == "auto" and (not is_growing or settings.trainer.is_distributed):
            raise ConfigError(
                "train.length=auto: shortens trainings to fit train.budget; give one and train.seeds=auto, with "
                "trainer.devices=1, or a share such as train.length=0.5"
            )
        arms = compose_arms(self.arms, settings)
        check_baseline(baseline_name(self.baseline, settings), arms)
        check_study_starts_anew(settings)
        check_pretrained(settings, self.list_seeds(settings))
        check_gan_trainings(settings, arms)

    def check_with_torch(self, settings: Settings) -> None:
        from fer_experiments.train.equal_cost import check_equal_cost

        arms = compose_arms(self.arms, settings)
        check_equal_cost(settings, arms)
        check_generators(arms)

    def run(self, settings: Settings, folder: Path, plan: "Plan | None" = None) -> None:
        from fer_experiments.train.growing_study import grow_study
        from fer_experiments.train.seeds import StudyRun, run_seeds

        looks, workers, question = self._looks(), self._count_workers(settings), self._question(settings)
        length = plan.length if plan is not None else 1.0 if self.length == "auto" else self.length
        settings, arms = shorten(settings, compose_arms(self.arms, settings), length)
        if self.seeds == "auto":
            from fer_experiments.evaluation.sequential import look_level

            growth = Growth(level=self.level, looks=list(looks), budget=self.budget, length=length)
            question = question.model_copy(update={"level": look_level(looks, self.level)})
            grow_study(StudyRun(settings, arms, question, workers, folder, plan), growth, settings.seed)
        else:
            run_seeds(StudyRun(settings, arms, question, workers, folder, plan), self.list_seeds(settings))

    def plan(self, settings: Settings, folder: Path | None = None) -> "Plan | None":
        from fer_experiments.train.plan.plan_study import plan_study

        first = settings.with_seed(self.list_seeds(settings)[0])
        budget = self.budget if self.seeds == "auto" else None
        length = _read_length(folder) if self.length == "auto" else self.length
        workers = partial(self._count_workers, settings)
        return plan_study(first, compose_arms(self.arms, settings), self._looks(), workers, budget, length)

    def _looks(self) -> tuple[int, ...]:
        """Return the numbers of seeds at which the study may end."""
        if self.seeds == "auto":
            return plan_looks(self.max_seeds)
        return (self.seeds if isinstance(self.seeds, int) else len(self.seeds),)

    def list_seeds(self, settings: Settings) -> list[int]:
        if isinstance(self.seeds, list):
            return self.seeds
        return [settings.seed + number for number in range(self._looks()[-1])]

    def _count_workers(self, settings: Settings) -> int:
        """Return how many trainings run side by side."""
        from fer_experiments.train.workers import choose_workers

        return choose_workers(settings.trainer, self._looks()[-1]) if self.workers == "auto" else self.workers

    def can_continue(self, folder: Path) -> bool:
        """Whether a study that stopped for its budget has a larger one now."""
        growth = StudyRecord.load(folder).growth
        if growth is None or growth.stop != "budget" or growth.budget is None:
            return False
        return self.budget is None or self.budget > growth.budget

    def _question(self, settings: Settings) -> Question:
        fields = self.model_dump(include=set(Question.model_fields))
        return Question(**fields | {"baseline": baseline_name(self.baseline, settings)})

    def check_objective(self, settings: Settings) -> None:
        if all(arm.leak for arm in compose_arms(self.arms, settings)):
            raise ConfigError(
                f"hydra/sweeper: all of train.arms={self.arms} leak, so that test images would choose; name an arm "
                "without @leak"
            )

    def objective(self, folder: Path) -> float:
        return valid_balanced_accuracy(StudyRecord.load(folder).results)


def _read_length(folder: Path | None) -> float | None:
    """Return the length of the trainings of the study that began in this folder; None if none has."""
    record = None if folder is None else StudyRecord.load_or_none(folder)
    return None if record is None or record.growth is None else record.growth.length
