"""evaluation.json: what a trained classifier achieved on images that its training did not use."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from fer_experiments.evaluation.intervals import estimate, wilson_interval
from fer_experiments.evaluation.result import Result, versions
from fer_experiments.evaluation.scores import METRIC_NAMES, Array
from fer_experiments.json_record import JSONRecord

OTHER_METRICS = (
    "macro_f1",
    "auroc",
    "average_precision",
    "loss",
    "ece",
)  # which no confusion matrix tells of some of the classes


class InternalTest(BaseModel):
    """What the classifier reached on the test part of its training, over the classes that an evaluation has.

    metrics: {metric: value} of accuracy and balanced_accuracy, and of all others if the evaluation has every class.
    recall: {class: value}.
    """

    arm: str
    seed: int
    images: int
    metrics: dict[str, float | None]
    recall: dict[str, float]

    @classmethod
    def from_result(cls, result: Result, classes: Sequence[str]) -> "InternalTest | None":
        """Compute the scores over the test images of `classes` from the confusion matrix; None if one has no images."""
        test = result.metrics["test"]
        places = [result.classes.index(name) for name in classes]
        confusion = np.array(test["confusion"])[places]
        sizes, right = confusion.sum(1), confusion[np.arange(len(places)), places]
        if not sizes.all():
            return None
        recall = (right / sizes).tolist()
        return cls(
            arm=result.arm,
            seed=result.seed,
            images=int(sizes.sum()),
            metrics={
                **({name: test.get(name) for name in OTHER_METRICS} if len(classes) == len(result.classes) else {}),
                "accuracy": float(right.sum() / sizes.sum()),
                "balanced_accuracy": float(np.mean(recall)),
            },
            recall=dict(zip(classes, recall, strict=True)),
        )


class EvaluationResult(JSONRecord):
    """A trained classifier measured on images that it was neither trained on nor chosen by.

    Attributes:
        checkpoint, checkpoint_sha256: the file of the classifier, and its content's hash.
        data: where the images are from.
        classes: those that the classifier knows; the data may lack some.
        metrics: {"test": classification_metrics} of the images that were measured.
        level, intervals: {metric: (low, high)} of METRIC_NAMES, which cover the draw of the images.
        recall_intervals: {class: (low, high)} of the recall of each class that has images.
        overlap: {part: images of the data that were in this part of the training}; those of train and valid are not
            measured. None if the training's split.csv was not at hand, so that this could not be checked.
        split_hash: of split.csv, in which the images that were measured are the test part.
        training_split_hash: of the split that the classifier was trained on.
        internal_test: the classifier on the test part of its training; None if its result.json was not at hand.
        seconds: how long the evaluation took.
    """

    file_name: ClassVar[str] = "evaluation.json"
    description: ClassVar[str] = "an evaluation"

    checkpoint: str
    checkpoint_sha256: str
    data: str
    classes: list[str]
    metrics: dict[str, dict[str, Any]]
    level: Annotated[float, Field(gt=0, lt=1)]
    intervals: dict[str, tuple[float, float]]
    recall_intervals: dict[str, tuple[float, float]] = Field(default_factory=dict)
    overlap: dict[str, int] | None
    split_hash: str
    training_split_hash: str
    internal_test: InternalTest | None
    seconds: float
    device: str
    precision: str
    versions: dict[str, str] = Field(default_factory=versions)

    @property
    def test(self) -> Mapping[str, Any]:
        """The metrics of the images that were measured."""
        return self.metrics["test"]

    @property
    def counts(self) -> dict[str, int]:
        """{class: images that were measured}, in the order of `classes`."""
        return dict(zip(self.classes, map(sum, self.test["confusion"]), strict=True))

    @property
    def present(self) -> list[str]:
        """The classes that have images."""
        return [name for name, count in self.counts.items() if count]

    @property
    def has_training_split(self) -> bool:
        """Whether the data, with their parts, are those of the training."""
        return self.split_hash == self.training_split_hash

    @property
    def is_internal(self) -> bool:
        """Whether all images that were measured are test images of the training."""
        return self.overlap is not None and self.overlap["test"] == self.test["images"]


def compute_intervals(
    predicted: Array, labels: Array, level: float, clusters: Array | None = None
) -> dict[str, tuple[float, float]]:
    """predicted (N,), labels (N,) class indices -> {metric: (low, high)} of every metric of METRIC_NAMES.

    clusters: (N,) of the images that are alike, as `compare` takes them.
    """
    estimates = {metric: estimate(predicted[None], labels, metric, level, clusters) for metric in METRIC_NAMES}
    return {metric: (each.low, each.high) for metric, each in estimates.items()}


def compute_recall_intervals(
    predicted: Array, labels: Array, classes: Sequence[str], level: float, clusters: Array
) -> dict[str, tuple[float, float]]:
    """Return {class: (low, high)} of the recall of each class that has images; arguments as of `compute_intervals`.

    Wilson's, unless images of the class were drawn together.
    """
    intervals = {}
    for place, name in enumerate(classes):
        members = labels == place
        if not members.any():
            continue
        if len(np.unique(clusters[members])) == members.sum():
            right = int((predicted[members] == place).sum())
            intervals[name] = wilson_interval(right, int(members.sum()), level)
        else:
            recall = estimate(predicted[None, members], labels[members], "accuracy", level, clusters[members])
            intervals[name] = recall.low, recall.high
    return intervals
