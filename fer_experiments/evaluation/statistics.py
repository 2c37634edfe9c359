"""Is one arm better than another? Estimates that count both the luck of training and the luck of the test images.

A seed's score varies because training is random, and because the test images are a sample. All seeds share the test
images, so more seeds never make the sample of images larger. In the two-way random effects model for the difference of
seed s on image i, d_si = mean + a_s + b_i + c_si, the mean over S seeds and n images has the variance

    V = var(a)/S + var(b)/n + var(c)/(S n).

Its parts are estimated from the spread of the seeds' scores and from the jackknife over test images (stratified by
class), both of a seed's score and of the mean over the seeds. The interval is Student's with Satterthwaite's degrees of
freedom, and never narrower than that of the seeds' scores alone, nor than the exact one of arms that no image of the
smallest class tells apart (Clopper and Pearson 1934: of n such images up to 3.7 in n may). There is no random
resampling: the same numbers each time. tests/test_calibration.py measures how often the interval holds the truth.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Metric = Literal["accuracy", "balanced_accuracy", "macro_f1"]
Verdict = Literal["helps", "hurts", "equivalent", "undecided"]
METRICS: tuple[Metric, ...] = ("accuracy", "balanced_accuracy", "macro_f1")
SIGN_FLIPS = 2**17  # exact up to 17 seeds, beyond as many random ones
POWER = 0.8
UNSEEN = 0.025  # how probable it is that n images miss a share of images by which the arms differ
MOST_SEEDS = 1000  # more are no advice
MOST_TIMES = 100

Array = NDArray[Any]


@dataclass(frozen=True)
class Spread:
    """How far a mean over seeds spreads, from two sources with degrees of freedom of their own.

    by_seeds estimates var(a)/S + var(c)/(S n) from the seeds' scores, by_images var(b)/n + var(c)/(S n) from the
    images; both: var(c)/(S n), which is in either; least: what by_images counts as if it is less.
    """

    by_seeds: float
    by_images: float
    both: float
    least: float
    seed_freedom: float
    image_freedom: float

    def reach(self, p: float) -> float:
        """How far the mean lies below its p quantile: Student's times the standard error (Satterthwaite 1946).

        Never less than with the seeds' scores alone, whose spread among two or three may be small by chance.
        """
        return max(error * float(special.stdtrit(freedom, p)) for error, freedom in self._students)

    def p_value(self, mean: float) -> float:
        """Two-sided, of 0: the smallest 1 - level at which mean +- reach leaves it out."""
        return max(_p_value(mean, *one) for one in self._students)

    def of_more(self, seeds: float, images: float) -> "Spread":
        """With so many times as many seeds and images."""
        both = self.both / (seeds * images)
        shared = min(self.both, self.by_seeds)
        by_seeds = (self.by_seeds - shared) / seeds + shared / (seeds * images)
        by_images = (self.by_images - self.both) / images + both
        least = self.least / images**2
        return Spread(
            by_seeds, by_images, both, least, (self.seed_freedom + 1) * seeds - 1, self.image_freedom * images
        )

    @property
    def _students(self) -> list[tuple[float, float]]:
        """Standard error and degrees of freedom: of all, by Satterthwaite, and of the seeds' scores alone."""
        by_images = max(self.by_images, self.least)
        variance = max(0.0, self.by_seeds - self.both) + by_images
        if self.seed_freedom == 0:
            return [(math.sqrt(variance), self.image_freedom)]
        parts = self.by_seeds**2 / self.seed_freedom + by_images**2 / self.image_freedom
        freedom = variance**2 / parts if parts > 0 else self.seed_freedom
        return [(math.sqrt(variance), freedom), (math.sqrt(self.by_seeds), self.seed_freedom)]


def _p_value(mean: float, error: float, freedom: float) -> float:
    return 2 * float(stats.t.sf(abs(mean) / error, freedom)) if error > 0 else float(mean == 0)


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval: a score's in [0, 1], a difference's in [-1, 1]."""

    mean: float
    low: float
    high: float
    p_value: float
    spread: Spread


@dataclass(frozen=True)
class Comparison:
    """What `compare` found for A minus B: shares of 1, so 0.01 is a point.

    p_value: of the exact sign-flip test over seeds, two-sided. interval_p_value: the smallest 1 - level at which the
    interval leaves out 0. probability_of_outperforming: the share of seeds with A above B, ties counted half. fixed,
    broken: test images that A gets right and B wrong, and the other way round, means over the seeds (McNemar's counts).
    resolvable: the smallest true difference that a study like this one shows with a probability of 80 %.
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


def score(predictions: Array, labels: Array, metric: Metric = "balanced_accuracy") -> Array:
    """predictions (S, N) class indices, labels (N,) -> (S,) in [0, 1].

    accuracy; balanced_accuracy: the mean recall of the classes that labels has; macro_f1: the mean of their F1.
    """
    predictions, labels = _checked(predictions, labels, metric)
    return _score(predictions, labels, metric)[0]


def estimate(predictions: Array, labels: Array, metric: Metric = "balanced_accuracy", level: float = 0.95) -> Estimate:
    """The mean score of one arm over its seeds. predictions (S, N) class indices, labels (N,)."""
    predictions, labels = _checked(predictions, labels, metric)
    found = _estimate(*_score(predictions, labels, metric), labels, metric, level)
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def compare(
    predictions_a: Array,
    predictions_b: Array,
    labels: Array,
    metric: Metric = "balanced_accuracy",
    margin: float = 0.005,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two arms on the same seeds and test images.

    predictions (seeds, images): class indices, row s of both from the same seed; labels (images,). The verdict:
    equivalent where the interval at `level` lies within +-margin; else helps (A is better) or hurts where it leaves
    out 0; else undecided. With one seed it is undecided, since nothing is known of the luck of training.
    `seed` draws the sign flips where there are too many to try all. Raises ValueError for shapes and values that
    don't fit.

    Sources: Owen (2007), The pigeonhole bootstrap, for the model; Satterthwaite (1946); Fisher's sign-flip test;
    Bouthillier et al. (2021), Accounting for variance in machine learning benchmarks; McNemar (1947).
    """
    a, labels = _checked(predictions_a, labels, metric)
    b, _ = _checked(predictions_b, labels, metric)
    if a.shape != b.shape:
        raise ValueError(f"predictions differ in shape: {a.shape} and {b.shape}; both are (seeds, images)")
    if not margin >= 0:
        raise ValueError(f"margin={margin}: must be 0 or more")
    (scores_a, influence_a), (scores_b, influence_b) = (_score(arm, labels, metric) for arm in (a, b))
    differences = scores_a - scores_b
    found = _estimate(differences, influence_a - influence_b, labels, metric, level)
    right_a, right_b = a == labels, b == labels
    fixed, broken = (right_a & ~right_b).sum(1), (right_b & ~right_a).sum(1)
    seeds, images = a.shape
    verdict = _verdict(found, margin, seeds)
    low, high = max(found.low, -1.0), min(found.high, 1.0)
    points = f"{_points(found.mean)} of {metric.replace('_', ' ')} ({level:.0%} interval {_range(low, high)})"
    measured = f"{points} over {seeds} seeds and {images:,} test images"
    if seeds == 1:
        total = int(fixed[0] + broken[0])
        mcnemar = stats.binomtest(int(fixed[0]), total).pvalue if total else 1.0
        explanation = (
            f"One seed: {points} for these two trained networks on {images:,} test images: {fixed[0]} fixed, "
            f"{broken[0]} broken (McNemar p = {mcnemar:.2g}). It says nothing about another training; five seeds or "
            "more can."
        )
    elif verdict == "undecided":
        explanation = f"{measured}: {_what_would_settle(found, margin, level, seeds, images)}"
    elif verdict == "equivalent":
        explanation = f"{measured}: within {100 * margin:g} points either way."
    else:
        explanation = f"{measured}: {'better' if verdict == 'helps' else 'worse'} by more than chance."
    return Comparison(
        difference=found.mean,
        low=low,
        high=high,
        p_value=sign_flip_p_value(differences, seed),
        interval_p_value=found.p_value,
        probability_of_outperforming=float(np.mean(np.sign(differences) / 2 + 0.5)),
        fixed=float(fixed.mean()),
        broken=float(broken.mean()),
        verdict=verdict,
        explanation=explanation,
        resolvable=min(1.0, found.spread.reach((1 + level) / 2) + found.spread.reach(POWER)),
        seeds=seeds,
        images=images,
    )


def sign_flip_p_value(differences: Array, seed: int = 0) -> float:
    """Two-sided p of paired differences (S,) under random signs; exact up to 17 seeds, never below 2 / 2^S."""
    differences = np.asarray(differences, dtype=float)
    if len(differences) == 1 or not differences.any():
        return 1.0
    found = stats.permutation_test(
        (differences,),
        lambda signed, axis: np.mean(signed, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=SIGN_FLIPS,
        batch=2**14,
        random_state=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for as many comparisons (Holm 1979), in the same order."""
    order = np.argsort(p_values, kind="stable")
    count = len(order)
    steps = np.asarray(p_values, dtype=float)[order] * (count - np.arange(count))
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted.tolist()


# ---- scores of weighted images


def _checked(predictions: Array, labels: Array, metric: str) -> tuple[Array, Array]:
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    if metric not in METRICS:
        raise ValueError(f"metric={metric}: is not one of {', '.join(METRICS)}")
    if predictions.ndim != 2 or labels.ndim != 1 or predictions.shape[1] != len(labels) or not predictions.size:
        raise ValueError(
            f"predictions {predictions.shape}, labels {labels.shape}: must be (seeds, images) and (images,), not empty"
        )
    for what, values in (("predictions", predictions), ("labels", labels)):
        if not np.issubdtype(values.dtype, np.integer) or values.min() < 0:
            raise ValueError(f"{what}: must be class indices, whole numbers from 0 on, not {values.dtype}")
    return predictions, labels


def _score(predictions: Array, labels: Array, metric: Metric) -> tuple[Array, Array]:
    """Scores (S,), and the influence (S, N) of each image: what the score gains as the image's weight in it grows.

    For a mean the influence is exact; for F1 it is the first order (the infinitesimal jackknife, Jaeckel 1972).
    """
    right = (predictions == labels).astype(float)
    if metric == "accuracy":
        return right.mean(1), right / labels.size
    scores, influence = np.zeros(len(predictions)), np.zeros(predictions.shape)
    present = np.unique(labels)
    for name in present:
        members = labels == name
        if metric == "balanced_accuracy":
            scores += right[:, members].mean(1)
            influence[:, members] = right[:, members] / members.sum()
        else:
            said = predictions == name
            size = (members.sum() + said.sum(1))[:, None]  # F1 = 2 hits / size
            f1 = 2 * right[:, members].sum(1, keepdims=True) / size
            scores += f1[:, 0]
            influence += (2 * right * members - f1 * (members.astype(float) + said)) / size
    return scores / len(present), influence / len(present)


def _variance(influence: Array, labels: Array) -> Array:
    """influence (..., N) -> variance (...) of the score over test sets with as many images of each class."""
    total = np.zeros(influence.shape[:-1])
    for name in np.unique(labels):
        of_class = influence[..., labels == name]
        count = of_class.shape[-1]
        total += of_class.var(-1) * count**2 / max(count - 1, 1)
    return total


# ---- from scores to an interval


def _estimate(scores: Array, influence: Array, labels: Array, metric: Metric, level: float) -> Estimate:
    """scores (S,) or differences of scores, and the influence (S, N) of each image on them."""
    if not 0 < level < 1:
        raise ValueError(f"level={level}: must lie between 0 and 1")
    seeds, mean = len(scores), float(scores.mean())
    by_images = float(_variance(influence.mean(0), labels))  # var(b)/n + var(c)/(S n)
    by_seeds, both = 0.0, 0.0  # var(a)/S + var(c)/(S n); var(c)/(S n)
    if seeds > 1:
        by_seeds = float(scores.var(ddof=1)) / seeds
        both = max(0.0, float(_variance(influence, labels).mean()) - by_images) / (seeds - 1)
        both = min(both, by_images)
    counts = np.unique(labels, return_counts=True)[1]
    unseen = _unseen(len(labels)) if metric == "accuracy" else _unseen(counts.min()) / len(counts)
    freedom = max(1, len(labels) - len(counts))
    spread = Spread(by_seeds, by_images, both, unseen**2, seeds - 1, freedom)
    half = spread.reach((1 + level) / 2)
    return Estimate(mean, mean - half, mean + half, spread.p_value(mean), spread)


def _unseen(images: int) -> float:
    """Standard error whose interval ends where the exact one of 0 in `images` does; one image says nothing."""
    share = 1 - UNSEEN ** (1 / images) if images > 1 else 1.0
    return share / float(stats.norm.isf(UNSEEN))


def _verdict(found: Estimate, margin: float, seeds: int) -> Verdict:
    if seeds == 1:
        return "undecided"
    if -margin <= found.low and found.high <= margin:
        return "equivalent"
    if found.low > 0:
        return "helps"
    return "hurts" if found.high < 0 else "undecided"


def _what_would_settle(found: Estimate, margin: float, level: float, seeds: int, images: int) -> str:
    """How many seeds, or test images, would in four studies of five leave out 0 or fit the margin.

    If the true difference is as found; an interval that just reaches 0 does so in every second study.
    """
    wanted = max(abs(found.mean), margin - abs(found.mean))

    def enough(more_seeds: float, more_images: float) -> bool:
        spread = found.spread.of_more(more_seeds, more_images)
        return spread.reach((1 + level) / 2) + spread.reach(POWER) < wanted

    enough_seeds = next((n for n in _growing(seeds, MOST_SEEDS) if enough(n / seeds, 1.0)), None)
    enough_images = next((n for n in _growing(images, MOST_TIMES * images) if enough(1.0, n / images)), None)
    ways = [] if enough_seeds is None else [f"about {enough_seeds:,} seeds"]
    ways += [] if enough_images is None else [f"about {enough_images:,} test images"]
    if not ways:  # each is held up by the other
        both = next((n for n in _growing(seeds, MOST_TIMES * seeds) if enough(n / seeds, n / seeds)), None)
        if both is None:
            return "no study of a reasonable size would settle it."
        ways = [f"about {both:,} seeds together with {_rounded(images * both / seeds):,} test images"]
    return f"{' or '.join(ways)} would settle it if the difference stays so."


def _growing(start: int, stop: float) -> list[int]:
    """Whole numbers from start + 1 to stop in steps of about 5 %."""
    found = []
    value = start + 1
    while value <= stop:
        found.append(max(start + 1, _rounded(value)))
        value = max(value + 1, round(value * 1.05))
    return found


def _rounded(value: float) -> int:
    """To two digits, as fits advice."""
    return int(round(value, min(0, 1 - math.floor(math.log10(value)))))


def _points(share: float) -> str:
    return f"{100 * share:+.1f} points"


def _range(low: float, high: float) -> str:
    return f"{100 * low:+.1f} to {100 * high:+.1f}"
