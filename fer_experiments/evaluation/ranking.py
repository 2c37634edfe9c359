"""AUROC and average precision, of each class against the rest, with the influence of each image on them."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
OfClass = Callable[[Array, Array], tuple[float, Array, Array]]


def auroc_with_influence(scores: Array, labels: Array) -> tuple[Array, Array]:
    """scores (S, N, K), labels (N,) -> the mean AUROC of the classes that labels has (S,), its influence (S, N).

    The influence is exact: the placements of DeLong, DeLong and Clarke-Pearson (1988).
    """
    return _mean_over_classes(_auroc, scores, labels)


def average_precision_with_influence(scores: Array, labels: Array) -> tuple[Array, Array]:
    """scores (S, N, K), labels (N,) -> the mean average precision of the classes (S,), its influence (S, N).

    The influence is of the first order (the infinitesimal jackknife, Jaeckel 1972).
    """
    return _mean_over_classes(_average_precision, scores, labels)


def _mean_over_classes(of_class: OfClass, scores: Array, labels: Array) -> tuple[Array, Array]:
    classes = np.unique(labels)
    means, influence = np.zeros(len(scores)), np.zeros(scores.shape[:2])
    for label in classes:
        members = labels == label
        for seed, values in enumerate(scores[:, :, label]):
            mean, of_positives, of_negatives = of_class(values[members], values[~members])
            means[seed] += mean
            influence[seed, members] += of_positives
            influence[seed, ~members] += of_negatives
    return means / len(classes), influence / len(classes)


def _auroc(positives: Array, negatives: Array) -> tuple[float, Array, Array]:
    """Return the AUROC of scores (P,) against (Q,), and the influence of both."""
    below, above = _count_below(positives, negatives), len(positives) - _count_below(negatives, positives)
    pairs = len(positives) * len(negatives)
    return float(below.sum()) / pairs, below / pairs, above / pairs


def _average_precision(positives: Array, negatives: Array) -> tuple[float, Array, Array]:
    """Return the average precision of scores (P,) against (Q,), and the influence of both."""
    order = np.sort(positives)
    true = len(positives) - np.searchsorted(order, order)  # positives at or above each positive
    false = len(negatives) - np.searchsorted(np.sort(negatives), order)
    precision, total = true / (true + false), len(positives)
    mean = float(precision.mean())
    # What the precisions of all positives at or below a score gain, or lose, by one more image of that score.
    gains = np.concatenate([[0.0], np.cumsum(false / (true + false) ** 2)])
    losses = np.concatenate([[0.0], np.cumsum(true / (true + false) ** 2)])
    place = np.searchsorted(order, positives, "right")
    of_positives = (precision[place - 1] - mean + gains[place]) / total
    return mean, of_positives, -losses[np.searchsorted(order, negatives, "right")] / total


def _count_below(values: Array, compared: Array) -> Array:
    """Return for each value how many of the compared ones lie below it; equal ones count half."""
    order = np.sort(compared)
    return (np.searchsorted(order, values, "left") + np.searchsorted(order, values, "right")) / 2
