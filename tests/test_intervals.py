"""Intervals of a mean over seeds: the parts of the variance, and the edges."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from fer_experiments.evaluation.comparison import compare
from fer_experiments.evaluation.intervals import estimate, wilson_interval
from tests.simulation import draw_uneven_arms, simulate


def test_parts_of_the_variance_are_those_of_the_model():
    """Estimate the accuracy of 0/1 outcomes with seed and image effects whose variances are known."""
    rng = np.random.default_rng(5)
    parts = []
    for _ in range(300):
        share = 0.7 + rng.choice([-0.05, 0.05], (6, 1)) + rng.choice([-0.2, 0.2], 200)
        is_right = rng.random((6, 200)) < share
        spread = estimate(np.where(is_right, 0, 1), np.zeros(200, dtype=int), "accuracy").spread
        joint = spread.interaction_variance
        parts.append((spread.seed_variance - joint, spread.image_variance - joint, joint))
    seed, image = 0.05**2 / 6, 0.2**2 / 200
    joint = (0.7 * 0.3 - 0.05**2 - 0.2**2) / 6 / 200
    np.testing.assert_allclose(np.mean(parts, axis=0), [seed, image, joint], rtol=0.12)


def test_more_seeds_never_outdo_a_small_test_set():
    """The width tends to that of the images' sampling, not to 0."""
    rng = np.random.default_rng(1)
    few, many = (compare(*simulate(rng, seeds, 200)) for seeds in (10, 400))
    assert many.high - many.low > 0.4 * (few.high - few.low)
    assert many.high - many.low > 0.02


def test_an_arms_interval_ends_where_scores_end():
    labels = np.arange(200) % 2
    right, wrong = (estimate(np.tile(row, (3, 1)), labels) for row in (labels, 1 - labels))
    assert (right.low, right.high) == (pytest.approx(1 - 3.7 / 200, abs=1e-3), 1)
    assert (wrong.low, wrong.high) == (0, pytest.approx(3.7 / 200, abs=1e-3))


def test_an_arms_interval_holds_its_mean():
    a, _, labels = draw_uneven_arms()
    interval = estimate(a, labels)
    assert interval.low < interval.mean < interval.high
    assert interval.mean == pytest.approx(np.mean([balanced_accuracy_score(labels, row) for row in a]))


def test_wilsons_interval_has_its_closed_form_and_never_leaves_0_to_1():
    z = 1.959964
    for trials in (1, 10, 1000):
        assert wilson_interval(0, trials, 0.95) == pytest.approx((0, z**2 / (trials + z**2)), abs=1e-6)
        assert wilson_interval(trials, trials, 0.95) == pytest.approx((trials / (trials + z**2), 1), abs=1e-6)
