"""Losses for imbalanced classes, with one signature: logits (B, K), labels (B,) int64, smoothing -> (B,) in nats.

smoothing in [0, 1) is the fraction of the target that is spread evenly over the classes (Szegedy et al. 2016).
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CrossEntropy(nn.Module):
    """-log p_y with p = softmax(logits)."""

    def forward(self, logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        return F.cross_entropy(logits, labels, reduction="none", label_smoothing=smoothing)


class Focal(CrossEntropy):
    """-(1 - p_y)^gamma log p_y: images that are classified well count for little. Lin et al. 2017, equation 4."""

    def __init__(self, gamma: float) -> None:
        super().__init__()
        self.gamma = gamma

    def forward(self, logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        # log(1 - p_y) is summed over the other classes: exact and with a finite gradient even if p_y rounds to 1.
        log_others = logits.log_softmax(1).scatter(1, labels[:, None], float("-inf"))
        return (self.gamma * log_others.logsumexp(1)).exp() * super().forward(logits, labels, smoothing)


class LogitAdjusted(CrossEntropy):
    """The cross-entropy of logits + shift (K,).

    With log priors as the shift: Ren et al. 2020, equation 4; Menon et al. 2021, equation 10.
    """

    shift: Tensor

    def __init__(self, shift: np.ndarray | Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", torch.as_tensor(shift, dtype=torch.float32))

    def forward(self, logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        return super().forward(logits + self.shift, labels, smoothing)


class Margin(CrossEntropy):
    """The cross-entropy with margins[y] subtracted from the true logit; margins (K,). Cao et al. 2019, equation 13."""

    margins: Tensor

    def __init__(self, margins: np.ndarray | Tensor) -> None:
        super().__init__()
        self.register_buffer("margins", torch.as_tensor(margins, dtype=torch.float32))

    def forward(self, logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        margins = F.one_hot(labels, len(self.margins)) * self.margins
        return super().forward(logits - margins, labels, smoothing)
