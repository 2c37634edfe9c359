"""The exact sign-flip test over seeds, and Holm's correction for several comparisons."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from fer_experiments.evaluation.scores import Array

MAX_SIGN_FLIPS = 2**17  # all of 17 seeds; of more seeds, as many random ones
BATCH = 2**14


def sign_flip_p_value(differences: Array, seed: int = 0) -> float:
    """Return the two-sided p-value of paired differences (S,) under random signs (Fisher's sign-flip test).

    It is exact up to 17 seeds, and never below 2 / 2^S. `seed` draws the signs of more seeds.
    """
    differences = np.asarray(differences, dtype=float)
    if len(differences) == 1 or not differences.any():
        return 1.0
    test = stats.permutation_test(
        (differences,),
        lambda signed, axis: np.mean(signed, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=MAX_SIGN_FLIPS,
        batch=BATCH,
        random_state=np.random.default_rng(seed),
    )
    return float(test.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values, adjusted for as many comparisons (Holm 1979), in the same order."""
    order = np.argsort(p_values, kind="stable")
    count = len(order)
    steps = np.asarray(p_values, dtype=float)[order] * (count - np.arange(count))
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted.tolist()
