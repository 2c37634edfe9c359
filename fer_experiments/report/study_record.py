"""study.json: the question of a study, its results, and what its failed trainings raised."""

from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, Field

from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.question import Question, Stop
from fer_experiments.evaluation.result import Result, versions
from fer_experiments.json_record import JSONRecord


def training_key(seed: int, arm: str) -> str:
    """Return the name of one training, by which `failed` and `folders` of a StudyRecord know it."""
    return f"seed {seed}, {arm}"


class Growth(BaseModel):
    """How a study grows whose number of seeds is not known beforehand (evaluation/sequential.py).

    Attributes:
        level: of all looks together; the question's level is that of each look.
        looks: the numbers of seeds at which it is looked at.
        budget: the seconds that it may take, or None.
        length: the share of their configured lengths that the trainings have (train.length).
        stop: why it stopped; None: it goes on.
    """

    level: float
    looks: list[int]
    budget: float | None = None
    length: float = 1.0
    stop: Stop | None = None


class StudyRecord(JSONRecord):
    """A study as it stands; `results` has one entry for each finished arm and seed.

    Attributes:
        arms, seeds: all that the study should train, finished or not; of a growing study the seeds up to the next look.
        unplanned: the training_keys among these that no source of a joined record was to train.
        growth: how the study grows; None if its seeds are fixed.
        failed: {training_key: error}.
        seconds: how long the study took so far.
        work: seconds of each part (data, gan, audit, classifiers), summed over the seeds.
        finished_seeds: those whose seconds are in `work`. After a restart their results are in `results` only when they
            were read again.
        overhead: the share by which the study took longer than its parts (0.05: 5%); below zero if they ran side by
            side.
        folders: {training_key: folder} of the trainings that are not in seed_N/ARM of the study.
        problems: sentences on what could not be used.
    """

    file_name: ClassVar[str] = "study.json"
    description: ClassVar[str] = "a study"

    arms: list[str]
    seeds: list[int]
    unplanned: list[str] = Field(default_factory=list)
    question: Question = Field(default_factory=Question)
    growth: Growth | None = None
    results: list[Result] = Field(default_factory=list)
    failed: dict[str, str] = Field(default_factory=dict)
    seconds: float = 0.0
    work: dict[str, float] = Field(default_factory=dict)
    finished_seeds: list[int] = Field(default_factory=list)
    overhead: float | None = None
    versions: dict[str, str] = Field(default_factory=versions)
    folders: dict[str, str] = Field(default_factory=dict)
    problems: list[str] = Field(default_factory=list)

    def folder_of(self, result: Result, study: Path) -> Path:
        """Return the folder of a training of the study that lies in the folder `study`."""
        default = f"seed_{result.seed}/{ArmName.parse(result.arm).folder}"
        return study / self.folders.get(training_key(result.seed, result.arm), default)

    def add(
        self, seed: int, results: list[Result], failed: dict[str, str], work: dict[str, float], seconds: float
    ) -> None:
        """Add one more seed, which was done `seconds` after the study began."""
        if seed not in self.finished_seeds:
            self.finished_seeds.append(seed)
        self.results += results
        self.failed |= failed
        self.work = {part: self.work.get(part, 0.0) + spent for part, spent in work.items()}
        self.seconds = seconds
        self.overhead = seconds / sum(self.work.values()) - 1

    def results_of(self, arm: str) -> list[Result]:
        return [result for result in self.results if result.arm == arm]

    def scores(self, arm: str) -> dict[int, float]:
        """Return {seed: the study's metric on test} of an arm; without results of earlier versions that lack it."""
        scores = {result.seed: result.metrics["test"].get(self.question.metric) for result in self.results_of(arm)}
        return {seed: float(score) for seed, score in scores.items() if score is not None}

    def generated_arms(self) -> list[str]:
        """Return the arms that were given generated images.

        An arm that could have some but needed none, because its classes were even, is a simple arm.
        """
        return [arm for arm in self.arms if any(sum(result.generated.values()) for result in self.results_of(arm))]

    @property
    def planned(self) -> list[str]:
        """The training_keys of all that should be trained."""
        keys = [training_key(seed, arm) for seed in self.seeds for arm in self.arms]
        return [key for key in keys if key not in self.unplanned]

    def unfinished_trainings(self) -> list[tuple[str, str]]:
        """Return (training_key, reason) of every training without a result: the failed ones, then those not run."""
        finished = {training_key(result.seed, result.arm) for result in self.results}
        missing = [key for key in self.planned if key not in finished]
        return [
            *self.failed.items(),
            *((training, "not run yet") for training in missing if training not in self.failed),
        ]
