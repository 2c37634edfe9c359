"""What more images are worth: generated ones, copies, real ones, and real ones as a learning curve predicts them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fer_experiments.evaluation.arm_comparisons import (
    ArmPredictions,
    compare_pair,
    find_baseline,
    pool_seed_variances,
)
from fer_experiments.evaluation.comparison import Comparison
from fer_experiments.evaluation.intervals import estimate_mean
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import Array, score_with_influence

AddedKind = Literal["generated", "copied", "added_real"]
Kind = Literal["generated", "copied", "added_real", "learning_curve"]


@dataclass(frozen=True)
class ArmImages:
    """The training images of an arm: how many real ones of each class it used, and how many of one kind were added."""

    real: Mapping[str, int]
    kind: AddedKind | None
    added: Mapping[str, int]


@dataclass(frozen=True)
class MoreImages:
    """What more images brought, or would bring, against the baseline of the same augmentation. 0.01 is a point.

    Attributes:
        kind: of the images; learning_curve: real ones, estimated.
        arms: that was trained with them; of a learning curve all of its arms.
        added: {class: images}.
    """

    kind: Kind
    arms: list[str]
    against: str
    added: dict[str, int]
    difference: float
    low: float
    high: float
    seeds: int


def compute_more_images(
    arms: Sequence[ArmPredictions],
    images: Mapping[str, ArmImages],
    labels: Array,
    question: Question,
    clusters: Array | None = None,
) -> list[MoreImages]:
    """Compare every arm with added images with the baseline of its augmentation, and read the learning curves.

    A learning curve is read for every number of images that arms of its augmentation add. There is none to read, and
    nothing to compare, in a study without controls, for which the list is empty.

    Args:
        arms: without those that leak.
        images: {arm: its training images}.
        labels: (N,) of the test images.
        question: of the study.
        clusters: (N,) of images that were drawn together, as `compare` takes them.
    """
    if not any(arm.control or images[arm.name].kind == "copied" for arm in arms):
        return []
    variances = pool_seed_variances(arms, labels, question)
    rows: list[MoreImages] = []
    curves: list[MoreImages] = []
    for arm in arms:
        added, baseline = images[arm.name], find_baseline(arm, arms, question)
        if added.kind is None or baseline is None:
            continue
        comparison = compare_pair(arm, baseline, labels, question, variances, clusters)
        if comparison is not None:
            rows.append(_describe(added, arm.name, baseline.name, comparison))
        curve = _read_learning_curve(arm, baseline, arms, images, labels, question, clusters)
        if curve is not None and all((curve.against, curve.added) != (each.against, each.added) for each in curves):
            curves.append(curve)
    return rows + curves


def _describe(images: ArmImages, arm: str, baseline: str, comparison: Comparison) -> MoreImages:
    assert images.kind is not None
    low, high, seeds = comparison.low, comparison.high, comparison.seeds
    return MoreImages(images.kind, [arm], baseline, dict(images.added), comparison.difference, low, high, seeds)


def _read_learning_curve(
    arm: ArmPredictions,
    baseline: ArmPredictions,
    arms: Sequence[ArmPredictions],
    images: Mapping[str, ArmImages],
    labels: Array,
    question: Question,
    clusters: Array | None,
) -> MoreImages | None:
    """Return what as many more real images as the arm adds would bring; None without a learning curve.

    The metric is taken to grow in proportion to the logarithm of the number of images of the small classes, so that the
    growth from a quarter and a half of them to all of them, fitted by least squares, goes on. Curves flatten, so the
    estimate is rather too high than too low.
    """
    total = images[baseline.name].real
    points = [
        each
        for each in arms
        if each.control and images[each.name].kind is None and find_baseline(each, arms, question) is baseline
    ]
    small = sorted({name for each in points for name, number in images[each.name].real.items() if number < total[name]})
    added = {name: images[arm.name].added.get(name, 0) for name in small}
    if not any(added.values()):  # so also without points
        return None
    members = [baseline, *points]
    common = [seed for seed in baseline.splits.items() if all(seed in each.splits.items() for each in points)]
    if not common:
        return None
    doublings = np.array([_mean_log2(images[each.name].real, total, small) for each in members])
    growth = _mean_log2({name: total[name] + added[name] for name in small}, total, small)
    centered = doublings - doublings.mean()
    weights = growth * centered / (centered**2).sum()
    scores, influences = zip(
        *(score_with_influence(each.select_seeds(common), labels, question.metric) for each in members), strict=True
    )
    gain = estimate_mean(
        np.tensordot(weights, np.stack(scores), 1),
        np.tensordot(weights, np.stack(influences), 1),
        labels,
        question.metric,
        question.level,
        clusters=clusters,
    )
    names = [each.name for each in members]
    mean, low, high = (float(np.clip(value, -1.0, 1.0)) for value in (gain.mean, gain.low, gain.high))
    return MoreImages("learning_curve", names, baseline.name, added, mean, low, high, len(common))


def _mean_log2(counts: Mapping[str, int], total: Mapping[str, int], classes: Sequence[str]) -> float:
    """Return how often the numbers of the classes were doubled from `total`, in the mean over them."""
    return float(np.mean([math.log2(counts[name] / total[name]) for name in classes]))
