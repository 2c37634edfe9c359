"""Is one arm better than another? Paired comparisons on the same seeds and test images, with a verdict."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from fer_experiments.evaluation.intervals import Estimate, Spread, Variance, estimate_mean
from fer_experiments.evaluation.p_values import sign_flip_p_value
from fer_experiments.evaluation.scores import (
    METRIC_TITLES,
    Array,
    Metric,
    check_predictions,
    predicted_classes,
    score_with_influence,
)
from fer_experiments.evaluation.study_size import describe_settling_study, resolvable_difference

Verdict = Literal["helps", "hurts", "equivalent", "undecided"]
MOSTLY = 0.9  # of the test images, if these tell about as much as they are
MIN_SEEDS_TO_EQUATE = 5


@dataclass(frozen=True)
class Comparison:
    """The result of `compare` for A minus B. Differences are shares of 1, so that 0.01 is a point.

    Attributes:
        difference, low, high: the mean over the seeds and its interval.
        p_value: of the exact sign-flip test over seeds, two-sided.
        interval_p_value: the smallest 1 - level at which the interval excludes 0.
        probability_of_outperforming: the share of seeds with A above B; ties count half.
        fixed: test images on which A is right and B wrong, the mean over the seeds (McNemar's count).
        broken: test images on which B is right and A wrong.
        explanation: the verdict's reason in one sentence.
        resolvable: the smallest true difference that a study like this one shows with a probability of 80%.
        seeds, images: how many were compared.
        spread: the variance of the difference, by its sources.
    """

    difference: float
    low: float
    high: float
    p_value: float
    interval_p_value: float
    probability_of_outperforming: float
    fixed: float
    broken: float
    verdict: Verdict
    explanation: str
    resolvable: float
    seeds: int
    images: int
    spread: Spread


def compare(
    predictions_a: Array,
    predictions_b: Array,
    labels: Array,
    metric: Metric = "balanced_accuracy",
    margin: float = 0.005,
    level: float = 0.95,
    seed: int = 0,
    clusters: Array | None = None,
    *,
    seed_variance: Variance | None = None,
) -> Comparison:
    """Compare two arms on the same seeds and test images.

    The verdict is "equivalent" if the interval lies within +-margin; else "helps" (A is better) or "hurts" if it
    excludes 0; else "undecided". With one seed it is "undecided", since nothing is known of the luck of training; with
    fewer than MIN_SEEDS_TO_EQUATE seeds, or if an arm predicts a single class in a seed, it is never "equivalent".

    Sources: Owen (2007), The pigeonhole bootstrap, for the model; Satterthwaite (1946); Fisher's sign-flip test;
    Bouthillier et al. (2021), Accounting for variance in machine learning benchmarks; McNemar (1947).

    Args:
        predictions_a: class indices (seeds, images); for metric=auroc and average_precision scores of the classes
            (seeds, images, classes), such as logits.
        predictions_b: the same, row s from the same seed as row s of predictions_a.
        labels: (images,).
        metric: what is compared.
        margin: differences within +-margin count as none.
        level: of the interval.
        seed: draws the sign flips if there are too many to try all.
        clusters: (images,) whole numbers, equal for images that were drawn together, such as copies or frames of one
            film, which tell no more than one image; None: every image was drawn by itself.
        seed_variance: of the difference in one seed, estimated from more arms than these two; None: from these alone.

    Raises:
        ValueError: for shapes or values that don't fit.
    """
    a, b, labels = _check_pair(predictions_a, predictions_b, labels, metric)
    if clusters is not None and np.shape(clusters) != labels.shape:
        raise ValueError(f"clusters {np.shape(clusters)}: must be one number for each of {len(labels)} images")
    if not margin >= 0:
        raise ValueError(f"margin={margin}: must be 0 or more")
    (scores_a, influence_a), (scores_b, influence_b) = (score_with_influence(arm, labels, metric) for arm in (a, b))
    differences = scores_a - scores_b
    difference = estimate_mean(differences, influence_a - influence_b, labels, metric, level, seed_variance, clusters)
    fixed, broken = _count_changes(predicted_classes(a), predicted_classes(b), labels)
    seeds, images = a.shape[:2]
    low, high = max(difference.low, -1.0), min(difference.high, 1.0)
    doubt = _doubt_equivalence(a, b, labels)
    verdict = _decide(difference, margin, seeds, doubt)
    points = _describe_difference(difference.mean, low, high, metric, level)
    if seeds == 1:
        explanation = _explain_single_seed(points, int(fixed[0]), int(broken[0]), images)
    else:
        are_clustered = clusters is not None and len(np.unique(clusters)) < MOSTLY * images
        reason = _explain(verdict, difference, margin, level, (seeds, images, are_clustered), doubt)
        explanation = f"{points} over {seeds} seeds and {images:,} test images: {reason}"
    return Comparison(
        difference=difference.mean,
        low=low,
        high=high,
        p_value=sign_flip_p_value(differences, seed),
        interval_p_value=difference.p_value,
        probability_of_outperforming=float(np.mean(np.sign(differences) / 2 + 0.5)),
        fixed=float(fixed.mean()),
        broken=float(broken.mean()),
        verdict=verdict,
        explanation=explanation,
        resolvable=resolvable_difference(difference.spread, level),
        seeds=seeds,
        images=images,
        spread=difference.spread,
    )


def _check_pair(a: Array, b: Array, labels: Array, metric: Metric) -> tuple[Array, Array, Array]:
    a, labels = check_predictions(a, labels, metric)
    b, _ = check_predictions(b, labels, metric)
    if a.shape != b.shape:
        raise ValueError(f"predictions differ in shape: {a.shape} and {b.shape}; both must be (seeds, images)")
    return a, b, labels


def _count_changes(a: Array, b: Array, labels: Array) -> tuple[Array, Array]:
    """Return for each seed (S,) how many images only A gets right, and how many only B."""
    right_a, right_b = a == labels, b == labels
    return (right_a & ~right_b).sum(1), (right_b & ~right_a).sum(1)


def has_one_class(predictions: Array) -> Array:
    """predictions as `compare` takes them -> (S,) bool: whether a seed predicts one class for all images."""
    classes = predicted_classes(predictions)
    return (classes == classes[:, :1]).all(1)


def _doubt_equivalence(a: Array, b: Array, labels: Array) -> str | None:
    """Return why arms that seem alike may differ in further seeds; None if there is no reason."""
    if len(a) < MIN_SEEDS_TO_EQUATE:
        return f"fewer than {MIN_SEEDS_TO_EQUATE} seeds can't show that two arms are equivalent"
    if len(np.unique(labels)) > 1 and (has_one_class(a) | has_one_class(b)).any():
        return "an arm that predicts a single class for all images in some seed can't be shown to be equivalent"
    return None


def _lies_within(difference: Estimate, margin: float) -> bool:
    return -margin <= difference.low and difference.high <= margin


def _decide(difference: Estimate, margin: float, seeds: int, doubt: str | None) -> Verdict:
    if seeds == 1:
        return "undecided"
    if _lies_within(difference, margin):
        return "undecided" if doubt else "equivalent"
    if difference.low > 0:
        return "helps"
    return "hurts" if difference.high < 0 else "undecided"


def _describe_difference(mean: float, low: float, high: float, metric: Metric, level: float) -> str:
    interval = f"{100 * low:+.1f} to {100 * high:+.1f}"
    return f"{100 * mean:+.1f} points of {METRIC_TITLES[metric]} ({100 * level:g}% interval {interval})"


def _explain(
    verdict: Verdict,
    difference: Estimate,
    margin: float,
    level: float,
    size: tuple[int, int, bool],
    doubt: str | None,
) -> str:
    """Return the reason of a verdict. size: as the last arguments of `describe_settling_study`."""
    if doubt is not None and _lies_within(difference, margin):
        return f"within {100 * margin:g} points either way, but {doubt}."
    if verdict == "undecided":
        return describe_settling_study(difference, margin, level, *size)
    if verdict == "equivalent":
        return f"within {100 * margin:g} points either way."
    return f"{'better' if verdict == 'helps' else 'worse'} by more than chance."


def _explain_single_seed(points: str, fixed: int, broken: int, images: int) -> str:
    changed = fixed + broken
    mcnemar = stats.binomtest(fixed, changed).pvalue if changed else 1.0
    return (
        f"One seed: {points} for these two trained networks on {images:,} test images: {fixed} fixed, {broken} broken "
        f"(McNemar p = {mcnemar:.2g}). It says nothing about another training; five seeds or more can."
    )
