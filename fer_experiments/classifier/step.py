"""One update of a classifier in plain PyTorch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

METRICS = ("loss", "accuracy")


def classification_step(
    network: nn.Module,
    optimizer: Any,
    images: Tensor,
    labels: Tensor,
    class_weights: Tensor | None = None,
    backward: Callable[[Tensor], Any] = torch.Tensor.backward,
) -> Tensor:
    """A step of cross-entropy, weighted by class_weights (K,), on images (B, C, S, S) in [0, 1] and labels (B,) int64.

    Returns METRICS (2,), detached: the unweighted loss in nats and the share of right answers, before the update.
    """
    logits = network(images)
    loss = F.cross_entropy(logits, labels, class_weights)
    optimizer.zero_grad()
    backward(loss)
    optimizer.step()
    with torch.no_grad():
        plain = loss if class_weights is None else F.cross_entropy(logits, labels)
        return torch.stack([plain, (logits.argmax(1) == labels).float().mean()])
