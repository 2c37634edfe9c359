"""Metrics of a classifier as a function of its predictions."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_recall,
)


def classification_metrics(logits: Tensor, labels: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """logits (N, K), labels (N,) int64 in [0, K) -> metrics in [0, 1], loss in nats.

    accuracy, balanced_accuracy (mean recall of the classes), loss (mean cross-entropy, unweighted), recall {class:
    value}, confusion (K rows of true classes, K columns of predicted ones).
    """
    logits, labels = logits.float().cpu(), labels.cpu()
    count = len(classes)
    recall = multiclass_recall(logits, labels, count, average="none")
    return {
        "accuracy": float(multiclass_accuracy(logits, labels, count, average="micro")),
        "balanced_accuracy": float(recall.mean()),
        "loss": float(F.cross_entropy(logits, labels)),
        "recall": {name: float(value) for name, value in zip(classes, recall, strict=True)},
        "confusion": multiclass_confusion_matrix(logits, labels, count).tolist(),
        "images": int(torch.numel(labels)),
    }
