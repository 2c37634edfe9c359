"""Advice on the size of a study: with the advised size a like study is decided about as often as promised."""

import re

import numpy as np

from fer_experiments.evaluation.comparison import compare
from tests.simulation import simulate


def test_undecided_says_what_would_settle_it():
    a, b, labels = simulate(np.random.default_rng(2), 5, 200, effect=0.02)
    comparison = compare(a, b, labels)
    assert comparison.verdict == "undecided"
    assert re.search(r": about [\d,]+ seeds together with [\d,]+ test images would settle it", comparison.explanation)


def test_where_images_are_of_groups_the_advice_asks_for_groups():
    a, b, labels = simulate(np.random.default_rng(2), 5, 200, effect=0.02)
    for size, noun in ((1, "test images would"), (5, "test images, with as many times more groups, would")):
        comparison = compare(a, b, labels, clusters=np.arange(200) // size)
        assert f"{noun} settle it" in comparison.explanation


def test_the_advice_settles_it_if_the_difference_stays():
    """With as many seeds as advised, the interval of a like study leaves out 0 in about four cases of five."""
    rng = np.random.default_rng(4)
    undecided = next(
        comparison for comparison in (compare(*simulate(rng, 5, 1400, effect=0.02)) for _ in range(50))
        if comparison.verdict == "undecided" and 0.018 < comparison.difference < 0.022
    )  # fmt: skip
    seeds = int(undecided.explanation.split("about ")[1].split()[0].replace(",", ""))
    decided = [compare(*simulate(rng, seeds, 1400, effect=0.02)).verdict == "helps" for _ in range(30)]
    assert 5 < seeds < 40
    assert np.mean(decided) > 0.6


def test_if_seeds_cannot_settle_it_images_are_advised():
    labels = np.zeros(20, dtype=int)
    rng = np.random.default_rng(0)
    a, b = (np.tile(rng.integers(0, 2, 20), (10, 1)) for _ in range(2))
    a[0, 0] = 1 - a[0, 0]
    comparison = compare(a, b, labels, "accuracy")
    assert comparison.verdict == "undecided"
    assert re.search(r": about [\d,]+ test images would settle it", comparison.explanation)


def test_resolvable_is_a_difference_that_four_of_five_studies_show():
    rng = np.random.default_rng(0)
    resolvable = np.mean([compare(*simulate(rng, 10, 400)).resolvable for _ in range(20)])
    decided = [compare(*simulate(rng, 10, 400, effect=resolvable)).verdict == "helps" for _ in range(200)]
    assert 0.68 < np.mean(decided) < 0.92
