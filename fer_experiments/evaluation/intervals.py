"""Intervals of a mean over seeds that count the luck of training and the luck of the test images.

A seed's score varies because training is random, and because the test images are a sample. All seeds share the test
images, so more seeds never make the sample of images larger. In the two-way random effects model for the difference of
seed s on image i, d_si = mean + a_s + b_i + c_si, the mean over S seeds and n images has the variance

    V = var(a)/S + var(b)/n + var(c)/(S n).

Its parts are estimated from the spread of the seeds' scores and from the jackknife over test images (stratified by
class), both of a seed's score and of the mean over the seeds. The interval is Student's with Satterthwaite's degrees of
freedom. It is never narrower than that of the seeds' scores alone, nor than the exact one for arms that differ on no
test image of the smallest class (Clopper and Pearson 1934: with n such images they may still differ on up to 3.7 / n of
all). There is no random resampling, so the numbers are the same each time. tests/test_interval_coverage.py measures
how often the interval holds the truth.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats

from fer_experiments.evaluation.scores import (
    Array,
    Metric,
    check_predictions,
    score_with_influence,
    variance_over_images,
)

MISS_PROBABILITY = 0.025  # that n images miss all of a share of images on which the arms differ


@dataclass(frozen=True)
class Spread:
    """The variance of a mean over seeds, by its two sources, each with its degrees of freedom.

    Attributes:
        seed_variance: var(a)/S + var(c)/(S n), estimated from the seeds' scores.
        image_variance: var(b)/n + var(c)/(S n), estimated from the images.
        interaction_variance: var(c)/(S n), which is a part of both.
        min_image_variance: the value that replaces a smaller image_variance.
        seed_freedom, image_freedom: degrees of freedom.
    """

    seed_variance: float
    image_variance: float
    interaction_variance: float
    min_image_variance: float
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
            min_image_variance=self.min_image_variance / image_factor**2,
            seed_freedom=(self.seed_freedom + 1) * seed_factor - 1,
            image_freedom=self.image_freedom * image_factor,
        )

    @property
    def _standard_errors(self) -> list[tuple[float, float]]:
        """(standard error, degrees of freedom): of both sources by Satterthwaite, and of the seeds' scores alone."""
        image_variance = max(self.image_variance, self.min_image_variance)
        variance = max(0.0, self.seed_variance - self.interaction_variance) + image_variance
        if self.seed_freedom == 0:
            return [(math.sqrt(variance), self.image_freedom)]
        parts = self.seed_variance**2 / self.seed_freedom + image_variance**2 / self.image_freedom
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


def estimate(predictions: Array, labels: Array, metric: Metric = "balanced_accuracy", level: float = 0.95) -> Estimate:
    """Estimate the mean score of one arm over its seeds. predictions (S, N) class indices, labels (N,).

    Raises ValueError for arguments that don't fit each other.
    """
    predictions, labels = check_predictions(predictions, labels, metric)
    mean = estimate_mean(*score_with_influence(predictions, labels, metric), labels, metric, level)
    return replace(mean, low=max(mean.low, 0.0), high=min(mean.high, 1.0))


def estimate_mean(scores: Array, influence: Array, labels: Array, metric: Metric, level: float) -> Estimate:
    """Estimate the mean of scores, or of differences of scores, with its interval.

    Args:
        scores: (S,), one of each seed.
        influence: (S, N) of each image on them.
        labels: (N,) of the images.
        metric: of the scores.
        level: of the interval, between 0 and 1. Raises ValueError for another.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level}: must lie between 0 and 1")
    seeds, mean = len(scores), float(scores.mean())
    image_variance = float(variance_over_images(influence.mean(0), labels))
    seed_variance, interaction_variance = 0.0, 0.0
    if seeds > 1:
        seed_variance = float(scores.var(ddof=1)) / seeds
        interaction_variance = max(0.0, float(variance_over_images(influence, labels).mean()) - image_variance) / (
            seeds - 1
        )
        interaction_variance = min(interaction_variance, image_variance)
    class_sizes = np.unique(labels, return_counts=True)[1]
    if metric == "accuracy":
        smallest_error = _smallest_error(len(labels))
    else:
        smallest_error = _smallest_error(class_sizes.min()) / len(class_sizes)
    image_freedom = max(1, len(labels) - len(class_sizes))
    spread = Spread(seed_variance, image_variance, interaction_variance, smallest_error**2, seeds - 1, image_freedom)
    half = spread.distance_to_quantile((1 + level) / 2)
    return Estimate(mean, mean - half, mean + half, spread.p_value(mean), spread)


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
