"""Are a classifier's probabilities true? Confidence against accuracy (Guo et al. 2017, On calibration of networks)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from fer_experiments.evaluation.statistics import Array


class Bin(NamedTuple):
    """Images of like confidence: how many, their mean largest probability, the share that is right; None if empty."""

    images: int
    confidence: float | None
    accuracy: float | None


def reliability(logits: Array, labels: Array, bins: int = 15) -> list[Bin]:
    """logits (N, K), labels (N,) class indices -> bins of equal width over [0, 1], the last one with both its ends."""
    confidence = softmax(np.asarray(logits, dtype=float), axis=1).max(1)
    right = np.argmax(logits, axis=1) == np.asarray(labels)
    place = np.digitize(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    found = []
    for number in range(bins):
        mine = place == number
        some = mine.any()
        found.append(
            Bin(
                int(mine.sum()),
                float(confidence[mine].mean()) if some else None,
                float(right[mine].mean()) if some else None,
            )
        )
    return found


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """The mean distance of accuracy and confidence, weighted by images: in [0, 1], 0 where probabilities are true."""
    total = sum(one.images for one in bins)
    gaps = [
        one.images * abs(one.accuracy - one.confidence)
        for one in bins
        if one.accuracy is not None and one.confidence is not None
    ]
    return sum(gaps) / total
