"""What the classifier minimizes under a strategy, and how its logits become predictions."""

import numpy as np
import torch
from torch import Tensor, nn

from fer_experiments.balance.losses import CrossEntropy


class Objective(nn.Module):
    """Give each image a loss and a weight; the loss of a batch is the weighted mean."""

    weights: Tensor | None
    final_weights: Tensor | None
    shift: Tensor | None

    def __init__(
        self,
        loss: CrossEntropy | None = None,
        weights: np.ndarray | Tensor | None = None,
        reweight_after: float = 0.0,
        shift: np.ndarray | Tensor | None = None,
    ) -> None:
        """Start with the weights of the first epoch.

        Args:
            loss: logits (B, K), labels (B,), smoothing -> losses (B,) in nats; None: the cross-entropy.
            weights: of the classes (K,), with mean 1; None: all are 1.
            reweight_after: the fraction of the training after which `weights` apply; before that all are 1 (deferred
                re-weighting, Cao et al. 2019, algorithm 1).
            shift: (K,), is added to the logits of predictions (post-hoc logit adjustment, Menon et al. 2021,
                equation 9).
        """
        super().__init__()
        self.loss = loss or CrossEntropy()
        self.reweight_after = reweight_after
        final_weights = _to_tensor(weights)
        self.register_buffer("final_weights", final_weights)
        self.register_buffer("weights", None if final_weights is None else torch.ones_like(final_weights))
        self.register_buffer("shift", _to_tensor(shift))
        self.start_epoch(0.0)

    def start_epoch(self, progress: float) -> None:
        """Choose the weights of an epoch. progress: the fraction of the training that is over, in [0, 1)."""
        if self.weights is not None and self.final_weights is not None:
            self.weights.copy_(
                self.final_weights if progress >= self.reweight_after else torch.ones_like(self.final_weights)
            )

    def forward(self, logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
        """logits (B, K), labels (B,) int64 -> losses (B,) in nats, weights (B,)."""
        losses = self.loss(logits, labels, smoothing)
        return losses, torch.ones_like(losses) if self.weights is None else self.weights[labels]

    def predict(self, logits: Tensor) -> Tensor:
        """logits (B, K) of the network -> logits (B, K) of the prediction."""
        return logits if self.shift is None else logits + self.shift


def _to_tensor(values: np.ndarray | Tensor | None) -> Tensor | None:
    return None if values is None else torch.as_tensor(values, dtype=torch.float32)
