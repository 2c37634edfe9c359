"""Intervals of a mean over seeds that count the randomness of training and of the sample of test images.

A seed's score varies because training is random, and because the test images are a sample. All seeds share the test
images, so more seeds never make the sample of images larger. In the two-way random effects model for the difference of
seed s on image i, d_si = mean + a_s + b_i + c_si, the mean over S seeds and n images has the variance

    V = var(a)/S + var(b)/n + var(c)/(S n).

Its parts are estimated from the spread of the seeds' scores and from the jackknife over test images (stratified by
class), both of a seed's score and of the mean over the seeds. The interval is Student's with Satterthwaite's degrees of
freedom, and never narrower than that of the seeds' scores alone. There is no random resampling, so the numbers are the
same each time. .github/docs/verdict.md explains the model; tests/test_interval_coverage.py measures how often the
interval holds the truth.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from fer_experiments.evaluation.scores import (
    Array,
    Metric,
    check_predictions,
    covariance_of_classes,
    score_with_influence,
    sum_deviations,
    variance_over_images,
)

PSEUDO_COUNT = 0.02  # of images of each class on which one arm is right and the other wrong, and as many the other way
ROUNDING_ERROR = 1e-12
MISS_PROBABILITY = 0.025  # that n images miss all of a share of images on which the arms differ


class Variance(NamedTuple):
    """An estimate of a variance, with its degrees of freedom."""

    value: float
    freedom: float


@dataclass(frozen=True)
class Spread:
    """The variance of a mean over seeds, by its two sources, each with its degrees of freedom.

    Attributes:
        seed_variance: var(a)/S + var(c)/(S n), estimated from the seeds' scores.
        image_variance: var(b)/n + var(c)/(S n), estimated from the images.
        interaction_variance: var(c)/(S n), which is a part of both.
        seed_freedom, image_freedom: degrees of freedom.
    """

    seed_variance: float
    image_variance: float
    interaction_variance: float
    seed_freedom: float
    image_freedom: float

    def distance_to_quantile(self, p: float) -> float:
        """Return how far the p quantile lies above the mean: Student's times the standard error (Satterthwaite 1946).

        It is never less than by the seeds' scores alone, because the spread among two or three of them may be small by
        chance.
        """
        return max(error * float(special.stdtrit(freedom, p)) for error, freedom in self._standard_errors)

    def p_value(self, mean: float) -> float:
        """Return the two-sided p-value of 0: the smallest 1 - level at which the interval around `mean` excludes 0."""
        return max(_p_value(mean, error, freedom) for error, freedom in self._standard_errors)

    def scaled(self, seed_factor: float, image_factor: float) -> "Spread":
        """Return the spread to expect with so many times as many seeds and test images."""
        interaction_variance = self.interaction_variance / (seed_factor * image_factor)
        part_of_seeds = min(self.interaction_variance, self.seed_variance)
        return Spread(
            seed_variance=(self.seed_variance - part_of_seeds) / seed_factor
            + part_of_seeds / (seed_factor * image_factor),
            image_variance=(self.image_variance - self.interaction_variance) / image_factor + interaction_variance,
            interaction_variance=interaction_variance,
            seed_freedom=(self.seed_freedom + 1) * seed_factor - 1,
            image_freedom=self.image_freedom * image_factor,
        )

    @property
    def _standard_errors(self) -> list[tuple[float, float]]:
        """(standard error, degrees of freedom): of both sources by Satterthwaite, and of the seeds' scores alone."""
        variance = max(0.0, self.seed_variance - self.interaction_variance) + self.image_variance
        if self.seed_freedom == 0:
            return [(math.sqrt(variance), self.image_freedom)]
        parts = self.seed_variance**2 / self.seed_freedom + self.image_variance**2 / self.image_freedom
        freedom = variance**2 / parts if parts > 0 else self.seed_freedom
        return [(math.sqrt(variance), freedom), (math.sqrt(self.seed_variance), self.seed_freedom)]


def _p_value(mean: float, error: float, freedom: float) -> float:
    return 2 * float(stats.t.sf(abs(mean) / error, freedom)) if error > 0 else float(mean == 0)


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval: a score in [0, 1], or a difference of scores in [-1, 1]."""

    mean: float
    low: float
    high: float
    p_value: float
    spread: Spread


def estimate(
    predictions: Array,
    labels: Array,
    metric: Metric = "balanced_accuracy",
    level: float = 0.95,
    clusters: Array | None = None,
) -> Estimate:
    """Estimate the mean score of one arm over its seeds. predictions (S, N) class indices, labels (N,).

    clusters: (N,) of images that were drawn together, as sum_deviations takes them.

    Raises ValueError for arguments that don't fit each other.
    """
    predictions, labels = check_predictions(predictions, labels, metric)
    mean = estimate_mean(*score_with_influence(predictions, labels, metric), labels, metric, level, clusters=clusters)
    return replace(mean, low=max(mean.low, 0.0), high=min(mean.high, 1.0))


def estimate_mean(
    scores: Array,
    influence: Array,
    labels: Array,
    metric: Metric,
    level: float,
    seed_variance: Variance | None = None,
    clusters: Array | None = None,
) -> Estimate:
    """Estimate the mean of scores, or of differences of scores, with its interval.

    Args:
        scores: (S,), one of each seed.
        influence: (S, N) of each image on them.
        labels: (N,) of the images.
        metric: of the scores.
        level: of the interval, between 0 and 1. Raises ValueError for another.
        seed_variance: of one seed's score, estimated from more than these scores; None: from these alone.
        clusters: (N,) of images that were drawn together, as sum_deviations takes them.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level}: must lie between 0 and 1")
    seeds, mean = len(scores), float(scores.mean())
    strata = np.zeros_like(labels) if metric == "accuracy" else labels
    sampled_variance = float(variance_over_images(influence.mean(0), strata, clusters))
    of_seeds, interaction_variance = Variance(0.0, 0.0), 0.0
    if seeds > 1:
        of_seeds = seed_variance or Variance(float(scores.var(ddof=1)), seeds - 1)
        of_one_seed = float(variance_over_images(influence, strata, clusters).mean())
        interaction_variance = min(max(0.0, of_one_seed - sampled_variance) / (seeds - 1), sampled_variance)
    of_images = estimate_image_variance(influence.mean(0), strata, clusters)
    spread = Spread(of_seeds.value / seeds, of_images.value, interaction_variance, of_seeds.freedom, of_images.freedom)
    half = spread.distance_to_quantile((1 + level) / 2)
    return Estimate(mean, mean - half, mean + half, spread.p_value(mean), spread)


def estimate_image_variance(influence: Array, strata: Array, clusters: Array | None = None) -> Variance:
    """Estimate the variance of a mean over test images, carefully where a class has few of them.

    In each class the jackknife's estimate gets PSEUDO_COUNT images that speak for one arm, and as many for the other.
    Its degrees of freedom are those of the class's kurtosis k, 2 n / (k - 1) (Box 1953), so that few images on which
    two arms differ count as few. A class in which the arms differ on no image, or on all alike, has the exact interval
    (Clopper and Pearson 1934): with n such images they may still differ on up to 3.7 / n of all. If there are several
    such classes, that of the smallest one serves for all: the arms can't differ by so much in each. Clusters that have
    images of several classes add the covariance between these.

    Args:
        influence: (N,) of each image on the mean.
        strata: (N,), the class of each image, or 0 for all if the metric knows no classes.
        clusters: (N,) of images that were drawn together, each of which counts as one image; None: there are none.
    """
    classes = len(np.unique(strata))
    parts, exact_parts = [], []
    for deviations in sum_deviations(influence, strata, clusters):
        count = len(deviations)
        if np.abs(deviations).max() < ROUNDING_ERROR:
            exact_parts.append(Variance((_smallest_error(count) / classes) ** 2, max(count - 1, 1)))
        else:
            parts.append(_estimate_class_variance(deviations, classes))
    parts += [max(exact_parts)] if exact_parts else []
    covariance, spanning = covariance_of_classes(influence, strata, clusters)
    parts += [Variance(float(covariance), spanning - 1)] if covariance > 0 else []
    total = sum(part.value for part in parts)
    return Variance(total, total**2 / sum(part.value**2 / part.freedom for part in parts))


def _estimate_class_variance(deviations: Array, classes: int) -> Variance:
    """Return the part of one class in the variance of a mean over classes. deviations: (n,), of sum_deviations."""
    count = len(deviations)
    squares = float((deviations**2).sum())
    excess = count * float((deviations**4).sum()) / squares**2 - 1
    freedom = min(count - 1, 2 * count / max(excess, ROUNDING_ERROR))
    pseudo_variance = 2 * PSEUDO_COUNT / (count * classes) ** 2
    return Variance(squares * count / (count - 1) + pseudo_variance, max(freedom, 1.0))


def _smallest_error(images: int) -> float:
    """Return the standard error whose interval ends where the exact one for 0 of `images` does.

    A single image tells nothing, so its interval ends at 1.
    """
    missed_share = 1 - MISS_PROBABILITY ** (1 / images) if images > 1 else 1.0
    return missed_share / float(stats.norm.isf(MISS_PROBABILITY))


def wilson_interval(successes: int, trials: int, level: float) -> tuple[float, float]:
    """Return Wilson's interval (low, high) of a share, such as the recall of a class. trials: 1 or more."""
    interval = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    return float(interval.low), float(interval.high)
