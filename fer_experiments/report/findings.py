"""verdict.json: what the predictions of a study's trainings say."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import TypeAdapter

from fer_experiments.atomic_write import atomic_write
from fer_experiments.evaluation.arm_comparisons import ArmPredictions
from fer_experiments.evaluation.intervals import Estimate, estimate
from fer_experiments.evaluation.leak_effect import LeakEffect, compute_leak_effects
from fer_experiments.evaluation.more_images import AddedKind, ArmImages, MoreImages, compute_more_images
from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.result import Result
from fer_experiments.evaluation.scores import score
from fer_experiments.evaluation.verdict import ArmVerdict, decide_verdicts
from fer_experiments.report.hard_images import HardImage, find_hard_images
from fer_experiments.report.study_record import StudyRecord, training_key
from fer_experiments.runs.training_files import read_test_clusters

VERDICT_FILE = "verdict.json"


@dataclass(frozen=True)
class Findings:
    """What the predictions of a study say.

    Attributes:
        estimates: {arm: its mean on test, with the interval}.
        arms: the verdicts of all arms except the baseline and the leaks.
        leaks: what each leak is worth.
        more_images: what more images are worth, if the study has controls.
        best: {setting of the data: the verdict on the arm with generated images that is best on validation}, such as
            {"data.imbalance=10": …}; {"": …} if all arms have the same data.
        images: how many test images there are, the same for all arms.
        classifiers: how many trainings have a part in all this.
        hard_images: the test images that all of these get wrong.
        problems: sentences on the trainings that had to be left out.
    """

    estimates: dict[str, Estimate]
    arms: list[ArmVerdict]
    leaks: list[LeakEffect]
    more_images: list[MoreImages]
    best: dict[str, ArmVerdict]
    images: int
    classifiers: int
    hard_images: list[HardImage]
    problems: list[str]

    def save(self, folder: Path, question: Question) -> None:
        """Write verdict.json. Raises StorageError."""
        content = {"question": question.model_dump(), **asdict(self)}
        with atomic_write(folder / VERDICT_FILE) as temporary:
            temporary.write_text(json.dumps(content, indent=1))


@dataclass(frozen=True)
class SavedVerdicts:
    """The fields of Findings that later versions read from verdict.json, whatever else stands in it."""

    estimates: dict[str, Estimate]
    arms: list[ArmVerdict]
    images: int

    @classmethod
    def load(cls, folder: Path) -> "SavedVerdicts":
        """Read them from the folder. Raises ValueError, which names the file, if it is missing or lacks any."""
        file = folder / VERDICT_FILE
        try:
            return TypeAdapter(cls).validate_python(json.loads(file.read_bytes()))
        except (OSError, ValueError) as error:
            raise ValueError(f"{file}: is not the verdict of a study: {error}") from None


class _Training(NamedTuple):
    result: Result
    valid: Predictions
    test: Predictions

    @property
    def test_set(self) -> tuple[tuple[str, ...], tuple[int, ...], bytes]:
        """Classes, labels and hashes: equal for two trainings that were measured on the same test images."""
        hashes = "\n".join(self.test.content_hash).encode("utf-8", "surrogateescape")
        return self.test.classes, tuple(self.test.labels.tolist()), hashes


def compute_findings(record: StudyRecord, folder: Path) -> Findings:
    """Decide the verdicts on the predictions that the study in `folder` left.

    A training whose predictions can't be read, or were made on other test images than most, is left out and named in
    `problems`.
    """
    trainings, problems = _load_trainings(record, folder)
    if not trainings:
        return Findings({}, [], [], [], {}, 0, 0, [], problems)
    labels = trainings[0].test.labels
    clusters = read_test_clusters(record.folder_of(trainings[0].result, folder), trainings[0].test.content_hash)
    question = record.question
    arms = [arm for name in record.arms if (arm := _build_arm(name, trainings, question)) is not None]
    clean_arms = [arm for arm in arms if not arm.parsed_name.leak]
    verdicts = decide_verdicts(clean_arms, labels, question, clusters)
    return Findings(
        estimates={
            arm.name: estimate(arm.predictions, labels, question.metric, question.level, clusters) for arm in arms
        },
        arms=verdicts,
        leaks=compute_leak_effects(arms, labels, question, clusters),
        more_images=compute_more_images(
            clean_arms, {arm.name: _count_images(record, arm.name) for arm in clean_arms}, labels, question, clusters
        ),
        best=_choose_best(verdicts, {arm.name: arm for arm in arms}),
        images=len(labels),
        classifiers=len(trainings),
        hard_images=find_hard_images([training.test for training in trainings]),
        problems=problems,
    )


def _load_trainings(record: StudyRecord, folder: Path) -> tuple[list[_Training], list[str]]:
    """Return the trainings with readable predictions on the same test images, and sentences on all others."""
    trainings, problems = [], []
    for result in record.results:
        place = record.folder_of(result, folder)
        try:
            trainings.append(_Training(result, Predictions.load(place, "valid"), Predictions.load(place, "test")))
        except ValueError as error:
            problems.append(f"{training_key(result.seed, result.arm)}: has no part in the verdict: {error}")
    if not trainings:
        return [], problems
    most_common = Counter(training.test_set for training in trainings).most_common(1)[0][0]
    problems += [
        f"{training_key(training.result.seed, training.result.arm)}: was measured on other test images or labels than "
        "the others and has no part in the verdict"
        for training in trainings
        if training.test_set != most_common
    ]
    return [training for training in trainings if training.test_set == most_common], problems


def _build_arm(name: str, trainings: Sequence[_Training], question: Question) -> ArmPredictions | None:
    """Return the predictions of an arm on all its seeds; None if it has no training."""
    trainings = [training for training in trainings if training.result.arm == name]
    if not trainings:
        return None
    valid = [
        score(training.valid.for_metric(question.metric)[None], training.valid.labels, question.metric)[0]
        for training in trainings
    ]
    return ArmPredictions(
        name,
        {training.result.seed: training.result.split_hash for training in trainings},
        np.stack([training.test.for_metric(question.metric) for training in trainings]),
        float(np.mean(valid)),
        any(sum(training.result.generated.values()) for training in trainings),
        any(training.result.is_control for training in trainings),
    )


def _count_images(record: StudyRecord, arm: str) -> ArmImages:
    """Return the training images of an arm, those of its first seed."""
    result = record.results_of(arm)[0]
    kinds: dict[AddedKind, dict[str, int]] = {
        "generated": result.generated,
        "copied": result.copied,
        "added_real": result.added_real,
    }
    for kind, counts in kinds.items():
        if sum(counts.values()):
            return ArmImages(result.real, kind, counts)
    return ArmImages(result.real, None, {})


def _choose_best(verdicts: Sequence[ArmVerdict], arms: Mapping[str, ArmPredictions]) -> dict[str, ArmVerdict]:
    """Return {setting of the data: verdict on the best arm with generated images}, in the order of the arms."""
    best: dict[str, ArmVerdict] = {}
    for verdict in sorted(verdicts, key=lambda verdict: -arms[verdict.arm].validation):
        if verdict.generated and verdict.against is not None:
            best.setdefault(arms[verdict.arm].parsed_name.data, verdict)
    return {data: best[data] for data in dict.fromkeys(arm.parsed_name.data for arm in arms.values()) if data in best}
