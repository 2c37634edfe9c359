"""Scores of predictions, the influence of each image on them, and their variance over test images."""

from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fer_experiments.evaluation.ranking import auroc_with_influence, average_precision_with_influence

ClassMetric = Literal["accuracy", "balanced_accuracy", "macro_f1"]
"""Of predicted classes."""
Metric = Literal["accuracy", "balanced_accuracy", "macro_f1", "auroc", "average_precision"]
"""The last two are of the scores that a classifier gives to the classes, whatever its threshold."""
METRIC_NAMES: tuple[ClassMetric, ...] = get_args(ClassMetric)
RANKING_METRICS: tuple[Metric, ...] = ("auroc", "average_precision")

METRIC_TITLES: dict[Metric, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "auroc": "AUROC",
    "average_precision": "average precision",
}

Array = NDArray[Any]


def score(predictions: Array, labels: Array, metric: Metric = "balanced_accuracy") -> Array:
    """predictions, labels (N,) -> scores (S,) in [0, 1].

    Predictions are class indices (S, N), or for RANKING_METRICS scores of the classes (S, N, K). balanced_accuracy is
    the mean recall of the classes that labels has, macro_f1 the mean of their F1; auroc and average_precision are the
    means over these classes, each against the rest. Raises ValueError for shapes or values that `check_predictions`
    refuses.
    """
    predictions, labels = check_predictions(predictions, labels, metric)
    return score_with_influence(predictions, labels, metric)[0]


def check_predictions(predictions: Array, labels: Array, metric: str) -> tuple[Array, Array]:
    """Return both as arrays.

    Raises ValueError unless predictions (S, N) and labels (N,) are class indices that fit each other, or for
    RANKING_METRICS predictions are finite scores (S, N, K), and the metric is one of Metric.
    """
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    if metric not in get_args(Metric):
        raise ValueError(f"metric={metric}: must be one of {', '.join(get_args(Metric))}")
    if metric in RANKING_METRICS:
        return _check_scores(predictions, labels, metric)
    if predictions.ndim != 2 or labels.ndim != 1 or predictions.shape[1] != len(labels) or not predictions.size:
        raise ValueError(
            f"predictions {predictions.shape}, labels {labels.shape}: must be (seeds, images) and (images,), not empty"
        )
    for name, values in (("predictions", predictions), ("labels", labels)):
        if not np.issubdtype(values.dtype, np.integer) or values.min() < 0:
            raise ValueError(f"{name}: must be class indices, whole numbers from 0 on, not {values.dtype}")
    return predictions, labels


def _check_scores(predictions: Array, labels: Array, metric: str) -> tuple[Array, Array]:
    fits = predictions.ndim == 3 and labels.ndim == 1 and predictions.shape[1] == len(labels) and predictions.size
    if not fits or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"predictions {predictions.shape}, labels {labels.shape} {labels.dtype}: for metric={metric} they must be "
            "scores (seeds, images, classes) and class indices (images,), not empty"
        )
    if not np.isfinite(predictions).all():
        raise ValueError(f"predictions: scores for metric={metric} must be finite")
    if labels.min() < 0 or labels.max() >= predictions.shape[2] or len(np.unique(labels)) < 2:
        raise ValueError(f"labels: for metric={metric} they must be of two or more of {predictions.shape[2]} classes")
    return predictions, labels


def predicted_classes(predictions: Array) -> Array:
    """Return the class indices (S, N) of predictions that may be scores (S, N, K)."""
    return predictions.argmax(2) if predictions.ndim == 3 else predictions


def score_with_influence(predictions: Array, labels: Array, metric: Metric) -> tuple[Array, Array]:
    """predictions, labels (N,) as in `score` -> scores (S,), and the influence (S, N) of each image on its score.

    The influence is what the score gains as the image's weight in it grows. For a mean it is exact; for F1 it is the
    first order (the infinitesimal jackknife, Jaeckel 1972).
    """
    if metric == "auroc":
        return auroc_with_influence(predictions, labels)
    if metric == "average_precision":
        return average_precision_with_influence(predictions, labels)
    is_right = (predictions == labels).astype(float)
    if metric == "accuracy":
        return is_right.mean(1), is_right / labels.size
    scores, influence = np.zeros(len(predictions)), np.zeros(predictions.shape)
    classes = np.unique(labels)
    for label in classes:
        members = labels == label
        if metric == "balanced_accuracy":
            scores += is_right[:, members].mean(1)
            influence[:, members] = is_right[:, members] / members.sum()
        else:
            predicted = predictions == label
            size = (members.sum() + predicted.sum(1))[:, None]
            f1 = 2 * is_right[:, members].sum(1, keepdims=True) / size
            scores += f1[:, 0]
            influence += (2 * is_right * members - f1 * (members.astype(float) + predicted)) / size
    return scores / len(classes), influence / len(classes)


def variance_over_images(influence: Array, labels: Array, clusters: Array | None = None) -> Array:
    """influence (..., N), labels (N,) -> variance (...) of the score over test sets with as many images of each class.

    The jackknife's estimate, stratified by class. clusters: as in sum_deviations.
    """
    total, _ = covariance_of_classes(influence, labels, clusters)
    for deviations in sum_deviations(influence, labels, clusters):
        count = deviations.shape[-1]
        total += (deviations**2).sum(-1) * count / max(count - 1, 1)
    return total


def sum_deviations(influence: Array, labels: Array, clusters: Array | None = None) -> Iterator[Array]:
    """Give for each class the deviations (..., C) of influence (..., N) from its mean, summed in each of C clusters.

    clusters: (N,) whole numbers, equal for images that are drawn together, such as copies or frames of one film; None:
    every image is drawn by itself.
    """
    for label in np.unique(labels):
        members = labels == label
        in_class = influence[..., members]
        deviations = in_class - in_class.mean(-1, keepdims=True)
        yield deviations if clusters is None else _sum_by(clusters[members], deviations)


def covariance_of_classes(influence: Array, labels: Array, clusters: Array | None = None) -> tuple[Array, int]:
    """Return what clusters with images of several classes add to the variance over images, and how many there are.

    Influence (..., N), labels (N,) -> (...): the jackknife's estimate of the covariance between classes, as between the
    images of one person with several expressions. It is never taken to be negative. clusters: as in sum_deviations.
    """
    spanning = np.array([], dtype=np.int64) if clusters is None else _find_spanning_clusters(labels, clusters)
    if clusters is None or len(spanning) < 2:
        return np.zeros(influence.shape[:-1]), len(spanning)
    names, squares = np.unique(clusters), np.zeros(influence.shape[:-1])
    of_cluster = np.zeros((*influence.shape[:-1], len(names)))
    for label, deviations in zip(np.unique(labels), sum_deviations(influence, labels, clusters), strict=True):
        places = np.searchsorted(names, np.unique(clusters[labels == label]))
        of_cluster[..., places] += deviations
        squares += (deviations[..., np.isin(names[places], spanning)] ** 2).sum(-1)
    covariance = (of_cluster[..., np.isin(names, spanning)] ** 2).sum(-1) - squares
    return np.maximum(covariance * len(spanning) / (len(spanning) - 1), 0.0), len(spanning)


def _find_spanning_clusters(labels: Array, clusters: Array) -> Array:
    """Return the clusters that have images of several classes."""
    in_class = [np.unique(clusters[labels == label]) for label in np.unique(labels)]
    names, classes = np.unique(np.concatenate(in_class), return_counts=True)
    return names[classes > 1]


def _sum_by(places: Array, values: Array) -> Array:
    """places (N,) whole numbers, values (..., N) -> the sums (..., P) of the values of each place."""
    order = np.argsort(places, kind="stable")
    return np.add.reduceat(values[..., order], np.unique(places[order], return_index=True)[1], axis=-1)
