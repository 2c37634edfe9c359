"""P-values of the sign-flip test and Holm's correction, by hand and at their limits."""

import itertools

import numpy as np
import pytest
from scipy import stats

from fer_experiments.evaluation.p_values import holm, sign_flip_p_value


def test_sign_flip_is_exact():
    differences = np.array([0.02, 0.01, -0.005, 0.03])
    means = [np.mean(differences * signs) for signs in itertools.product([1, -1], repeat=4)]
    assert sign_flip_p_value(differences) == np.mean(np.abs(means) >= differences.mean() - 1e-12)


@pytest.mark.parametrize(("seeds", "p_value"), [(1, 1.0), (3, 0.25), (5, 2 / 32), (10, 2 / 1024)])
def test_the_smallest_sign_flip_p_value(seeds, p_value):
    assert sign_flip_p_value(np.linspace(0.01, 0.02, seeds)) == pytest.approx(p_value)


def test_sign_flips_of_many_seeds_are_drawn_by_seed():
    differences = np.random.default_rng(0).normal(0.5, 1, 25)
    assert sign_flip_p_value(differences, seed=1) == sign_flip_p_value(differences, seed=1)
    assert sign_flip_p_value(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.01)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
