"""Metrics of a classifier as a function of its predictions."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.classification import (
    binary_auroc,
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
    auroc: of each class against the rest, the mean over the classes for which it is defined.
    ece: the expected calibration error of 15 bins.
    recall, precision: {class: value}.
    confusion: K rows of true classes, K columns of predicted ones.
    images: N.

    An undefined metric is None: the recall of a class without images, the precision of a class that was never
    predicted, and loss, auroc and ece if the logits are not finite.
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
        "auroc": _auroc(logits, labels, present) if finite else None,
        "ece": expected_calibration_error(reliability(logits.numpy(), labels.numpy())) if finite else None,
        "recall": _by_class(classes, recall, present),
        "precision": _by_class(classes, precision, predicted),
        "confusion": confusion.tolist(),
        "images": int(torch.numel(labels)),
    }


def _auroc(logits: Tensor, labels: Tensor, present: Tensor) -> float | None:
    """Return the mean AUROC of each class against the rest; None if labels has one class only."""
    if present.sum() < 2:
        return None
    probabilities = logits.double().softmax(1)  # in float32 confident images would tie at 1
    of_classes = [binary_auroc(probabilities[:, label], labels == label) for label in present.nonzero().flatten()]
    return float(torch.stack(of_classes).mean())


def _by_class(classes: Sequence[str], values: Tensor, is_defined: Tensor) -> dict[str, float | None]:
    rows = zip(classes, values.tolist(), is_defined.tolist(), strict=True)
    return {name: value if defined else None for name, value, defined in rows}


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
