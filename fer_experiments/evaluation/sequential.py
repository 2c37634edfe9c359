"""A study that grows by seeds until its verdict is settled: when it is looked at, at which level, and when it stops.

Whoever looks several times and stops at the first success finds too much. So every look has the same, higher level, by
which all looks together hold the level that was asked for (Pocock 1977; such intervals are the repeated confidence
intervals of Jennison and Turnbull 1989, which hold wherever a study stops, also for lack of time or hope).

The levels are those of independent seeds. All looks share their test images, which makes their results more alike than
that, so that the error over all looks is smaller still (Slepian 1962).
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy import optimize, stats

from fer_experiments.evaluation.arm_comparisons import PairedComparison
from fer_experiments.evaluation.comparison import MIN_SEEDS_TO_EQUATE
from fer_experiments.evaluation.question import Question, Stop
from fer_experiments.evaluation.verdict import ArmVerdict

MIN_PROBABILITY = 0.1  # of a verdict at the last look, below which a study stops as hopeless


@cache
def look_level(looks: tuple[int, ...], level: float) -> float:
    """Return the level of the intervals at each look with which they hold at all `looks` together with `level`.

    It is rounded up, to three digits or more. For five looks from 3 to 20 seeds and a level of 0.95 it is 0.986.
    """
    if len(looks) == 1:
        return level
    numbers = np.array(looks, dtype=float)
    correlation = np.sqrt(np.minimum.outer(numbers, numbers) / np.maximum.outer(numbers, numbers))
    miss = (1 - level) / 2

    def excess(z: float) -> float:
        """The probability that one side is crossed at some look, minus what is allowed."""
        limits = np.full(len(numbers), z)
        return 1 - float(stats.multivariate_normal.cdf(limits, cov=correlation, abseps=1e-6, maxpts=200_000)) - miss

    alone, bonferroni = stats.norm.isf(miss), stats.norm.isf(miss / len(looks))
    boundary = optimize.brentq(excess, alone - 0.01, bonferroni + 0.01, xtol=1e-4)
    scale = 10 ** max(3, 1 - math.floor(math.log10(1 - level)))
    return min(math.ceil(scale * (1 - 2 * float(stats.norm.sf(boundary)))), scale - 1) / scale


def select_open_arms(verdicts: Sequence[ArmVerdict]) -> list[ArmVerdict]:
    """Return the undecided verdicts that the study is about: on arms with generated images, or on all without them."""
    generated = [verdict for verdict in verdicts if verdict.generated]
    return [verdict for verdict in generated or verdicts if verdict.verdict == "undecided"]


def choose_stop(verdicts: Sequence[ArmVerdict], seeds: int, max_seeds: int, question: Question) -> Stop | None:
    """Return why a study stops at a look; None if it goes on.

    Args:
        verdicts: on all arms.
        seeds: that it has.
        max_seeds: of the last look.
        question: of the study, with the level of its looks.
    """
    undecided = select_open_arms(verdicts)
    if not undecided:
        return "settled"
    if seeds >= max_seeds:
        return "max_seeds"
    return "hopeless" if is_hopeless(undecided, max_seeds, question) else None


def is_hopeless(verdicts: Sequence[ArmVerdict], max_seeds: int, question: Question) -> bool:
    """Whether each of the undecided verdicts would most likely stay so with max_seeds seeds of the same test images."""
    return all(probability_to_settle(each, len(verdicts), max_seeds, question) < MIN_PROBABILITY for each in verdicts)


def probability_to_settle(verdict: ArmVerdict, count: int, max_seeds: int, question: Question) -> float:
    """Return how probable it is that an undecided arm has a verdict with max_seeds seeds, given what is known now.

    The predictive probability (Spiegelhalter, Freedman and Blackburn 1986): further seeds differ from these as these
    differ among themselves, the test images stay.

    Args:
        verdict: of the arm.
        count: of undecided arms, for which p-values are corrected.
        max_seeds: of the last look.
        question: of the study, with the level of its looks.
    """
    if not verdict.pairs:
        return 0.0
    alpha = (1 - question.level) / count
    helps = min(_predict(pair, max_seeds, alpha)[0] for pair in verdict.pairs)
    corrected = alpha / len(verdict.pairs)
    hurts = _predict(verdict.pairs[0], max_seeds, corrected)[1]
    return min(1.0, helps + hurts + _predict_equivalent(verdict.pairs[0], max_seeds, corrected, question.margin))


def _predict(pair: PairedComparison, max_seeds: int, alpha: float) -> tuple[float, float]:
    """Return the probabilities that the interval at 1 - alpha will lie above 0, and below 0."""
    mean, deviation, freedom, half = _predict_interval(pair, max_seeds, alpha)
    above = stats.t.sf((half - mean) / deviation, freedom)
    return float(above), float(stats.t.cdf((-half - mean) / deviation, freedom))


def _predict_equivalent(pair: PairedComparison, max_seeds: int, alpha: float, margin: float) -> float:
    """Return the probability that the interval at 1 - alpha will lie within +-margin."""
    mean, deviation, freedom, half = _predict_interval(pair, max_seeds, alpha)
    if half >= margin or max_seeds < MIN_SEEDS_TO_EQUATE:
        return 0.0
    low, high = ((limit - mean) / deviation for limit in (half - margin, margin - half))
    return float(stats.t.cdf(high, freedom) - stats.t.cdf(low, freedom))


def _predict_interval(pair: PairedComparison, max_seeds: int, alpha: float) -> tuple[float, float, float, float]:
    """Return the mean to expect, how it spreads with its degrees of freedom, and half the width of its interval."""
    comparison, spread = pair.comparison, pair.comparison.spread
    factor = max_seeds / comparison.seeds
    deviation = math.sqrt(max(spread.seed_variance * (1 - 1 / factor), 1e-12))
    half = spread.scaled(factor, 1.0).distance_to_quantile(1 - alpha / 2)
    return comparison.difference, deviation, max(spread.seed_freedom, 1.0), half
