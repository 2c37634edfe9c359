"""Are a classifier's probabilities true? Confidence against accuracy (Guo et al. 2017, On calibration of networks)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from fer_experiments.evaluation.scores import Array


class Bin(NamedTuple):
    """Images of like confidence: their number, their mean confidence and their accuracy; None if there are none.

    The confidence of an image is its largest probability.
    """

    images: int
    confidence: float | None
    accuracy: float | None


def reliability(logits: Array, labels: Array, bins: int = 15) -> list[Bin]:
    """logits (N, K), labels (N,) class indices -> bins of equal width over [0, 1]; the last one includes 1."""
    confidence = softmax(np.asarray(logits, dtype=float), axis=1).max(1)
    is_right = np.argmax(logits, axis=1) == np.asarray(labels)
    bin_numbers = np.digitize(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    return [_make_bin(confidence[bin_numbers == number], is_right[bin_numbers == number]) for number in range(bins)]


def _make_bin(confidence: Array, is_right: Array) -> Bin:
    if not len(confidence):
        return Bin(0, None, None)
    return Bin(len(confidence), float(confidence.mean()), float(is_right.mean()))


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Return the mean gap of accuracy and confidence, weighted by images: in [0, 1], 0 if probabilities are true."""
    gaps = [
        bin.images * abs(bin.accuracy - bin.confidence)
        for bin in bins
        if bin.accuracy is not None and bin.confidence is not None
    ]
    return sum(gaps) / sum(bin.images for bin in bins)
