"""Metrics of a classifier as a function of its predictions."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_precision,
    multiclass_recall,
)

from fer_experiments.evaluation.calibration import expected_calibration_error, reliability


def validation_metrics(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """logits (N, K), labels (N,) int64 in [0, K) -> loss, accuracy and balanced_accuracy, cheap enough for every epoch.

    balanced_accuracy is the mean recall of the classes that labels has, loss the unweighted mean cross-entropy in nats.
    """
    logits, labels = logits.float().cpu(), labels.cpu()
    count = logits.shape[1]
    recall = multiclass_recall(logits, labels, count, average="none")
    return {
        "accuracy": float(multiclass_accuracy(logits, labels, count, average="micro")),
        "balanced_accuracy": float(recall[labels.unique()].mean()),
        "loss": float(F.cross_entropy(logits, labels)),
    }


def classification_metrics(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """logits (N, K), labels (N,) int64 in [0, K) -> validation_metrics and these, in [0, 1], fit for JSON:

    macro_f1: the mean over the classes that labels has.
    auroc, average_precision: of each class against the rest, the mean over the classes that labels has.
    ece: the expected calibration error of 15 bins.
    recall, precision: {class: value}.
    confusion: K rows of true classes, K columns of predicted ones.
    images: N.

    An undefined metric is None: the recall of a class without images, the precision of a class that was never
    predicted, and loss, ece, auroc and average_precision if the logits are not finite.
    """
    logits, labels = logits.float().cpu(), labels.cpu()
    count = len(classes)
    confusion = multiclass_confusion_matrix(logits, labels, count)
    present, predicted = confusion.sum(1) > 0, confusion.sum(0) > 0
    recall = multiclass_recall(logits, labels, count, average="none")
    precision = multiclass_precision(logits, labels, count, average="none")
    finite = bool(logits.isfinite().all())
    return {
        **{name: _or_none(value) for name, value in validation_metrics(logits, labels).items()},
        "macro_f1": float(multiclass_f1_score(logits, labels, count, average="none")[present].mean()),
        **_ranking_metrics(logits, labels, present if finite else present & False),
        "ece": expected_calibration_error(reliability(logits.numpy(), labels.numpy())) if finite else None,
        "recall": _by_class(classes, recall, present),
        "precision": _by_class(classes, precision, predicted),
        "confusion": confusion.tolist(),
        "images": int(torch.numel(labels)),
    }


def _ranking_metrics(logits: Tensor, labels: Tensor, present: Tensor) -> dict[str, float | None]:
    """Return the means of AUROC and average precision over the classes `present` (K,); None for fewer than two."""
    if present.sum() < 2:
        return {"auroc": None, "average_precision": None}
    probabilities = logits.double().softmax(1)  # in float32 confident images would tie at 1
    classes = present.nonzero().flatten().tolist()
    pairs = [(probabilities[:, label], (labels == label).long()) for label in classes]
    return {
        "auroc": float(np.mean([float(binary_auroc(*pair)) for pair in pairs])),
        "average_precision": float(np.mean([float(binary_average_precision(*pair)) for pair in pairs])),
    }


def _by_class(classes: Sequence[str], values: Tensor, is_defined: Tensor) -> dict[str, float | None]:
    rows = zip(classes, values.tolist(), is_defined.tolist(), strict=True)
    return {name: value if defined else None for name, value, defined in rows}


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
