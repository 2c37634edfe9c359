"""One update of a classifier in plain PyTorch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fer_experiments.augment import Mixing

METRICS = ("train/loss", "train/accuracy")


def classification_step(
    network: nn.Module,
    optimizer: Any,
    images: Tensor,
    labels: Tensor,
    objective: nn.Module,
    smoothing: float = 0.0,
    mixing: Mixing | None = None,
    weights: Tensor | None = None,
    backward: Callable[[Tensor], Any] = torch.Tensor.backward,
    over_devices: Callable[[Tensor], Tensor] = torch.Tensor.detach,
    measured: int | None = None,
) -> Tensor:
    """A step on images (B, C, S, S) in [0, 1] and labels (B,) int64.

    objective(logits, labels, smoothing) gives losses (B,) and the weights (B,) of their classes, which with the images'
    own `weights` (B,), by default 1, make the weighted mean that is minimised;
    mixing(images, labels) mixed images, a second label of each and the share of the first (B,). over_devices: the mean
    over devices that have a share of the batch each, so that an image counts as it does in the whole batch. Returns
    METRICS (2,), detached: the plain cross-entropy in nats and the share of right answers of the first `measured`
    images (None: of all), before the update.
    """
    weights = torch.ones_like(labels, dtype=images.dtype) if weights is None else weights
    targets, weighted = [(labels, torch.ones_like(weights))], [(labels, weights)]
    if mixing is not None:
        images, partners, share = mixing(images, labels)
        targets = [(labels, share), (partners, 1 - share)]
        weighted = [(labels, share * weights), (partners, (1 - share) * mixing.of_partners(weights))]
    logits = network(images)
    loss = _weighted_mean(objective, logits, weighted, smoothing, over_devices)
    optimizer.zero_grad()
    backward(loss)
    optimizer.step()
    with torch.no_grad():
        first = slice(measured)
        plain = sum((share * F.cross_entropy(logits, aim, reduction="none"))[first].mean() for aim, share in targets)
        right = sum((share * (logits.argmax(1) == aim))[first].mean() for aim, share in targets)
        return torch.stack([torch.as_tensor(plain), torch.as_tensor(right)]).float()


def _weighted_mean(
    objective: nn.Module,
    logits: Tensor,
    targets: list[tuple[Tensor, Tensor]],
    smoothing: float,
    over_devices: Callable[[Tensor], Tensor],
) -> Tensor:
    """targets: labels (B,) and how much each counts (B,)."""
    parts = [(*objective(logits, labels, smoothing), share) for labels, share in targets]
    total = sum((weights * share * losses).sum() for losses, weights, share in parts)
    weight = torch.stack([(weights * share).sum() for _, weights, share in parts]).sum()
    return torch.as_tensor(total / over_devices(weight))
