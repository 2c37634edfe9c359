"""The loss of a classifier and one update of it, in plain PyTorch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fer_experiments.augment.mixing import Mixing


def classification_loss(
    network: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    objective: nn.Module,
    mixing: Mixing | None = None,
    smoothing: float = 0.0,
    weights: Tensor | None = None,
    measured: int | None = None,
    mean_over_devices: Callable[[Tensor], Tensor] = torch.Tensor.detach,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the loss that a step minimizes, and the metrics of its batch.

    Args:
        network: images (B, C, S, S) -> logits (B, K).
        images: (B, C, S, S) in [0, 1].
        labels: (B,) int64.
        objective: logits, labels, smoothing -> losses (B,), weights (B,) of their classes. The mean of the losses is
            minimized, weighted by the class's weight times the image's weight.
        mixing: images, labels -> mixed images, second labels (B,), the shares (B,) of the first labels.
        smoothing: the fraction of a label that is spread evenly over the classes, in [0, 1).
        weights: of the images (B,); None: all are 1.
        measured: how many images, from the first on, the metrics are of; None: all.
        mean_over_devices: averages a scalar over devices that each have a part of the batch, so that an image counts
            as much as it does on a single device.

    Returns:
        The loss, a scalar with gradients, and detached scalars: train/loss, the plain cross-entropy in nats, and
        train/accuracy.
    """
    weights = torch.ones_like(labels, dtype=images.dtype) if weights is None else weights
    targets, weighted_targets = [(labels, torch.ones_like(weights))], [(labels, weights)]
    if mixing is not None:
        images, partners, share = mixing(images, labels)
        targets = [(labels, share), (partners, 1 - share)]
        weighted_targets = [(labels, share * weights), (partners, (1 - share) * mixing.take_partners(weights))]
    logits = network(images)
    loss = _weighted_mean(objective, logits, weighted_targets, smoothing, mean_over_devices)
    with torch.no_grad():
        rows = slice(measured)
        losses = (share * F.cross_entropy(logits, target, reduction="none") for target, share in targets)
        hits = (share * (logits.argmax(1) == target) for target, share in targets)
        return loss, {
            "train/loss": torch.as_tensor(sum(values[rows].mean() for values in losses)),
            "train/accuracy": torch.as_tensor(sum(values[rows].mean() for values in hits)),
        }


def classification_step(
    network: nn.Module,
    optimizer: Any,
    images: Tensor,
    labels: Tensor,
    *,
    backward: Callable[[Tensor], Any] = torch.Tensor.backward,
    **arguments: Any,
) -> dict[str, Tensor]:
    """Update the network once; return the metrics of the batch before the update.

    Args:
        network: images (B, C, S, S) -> logits (B, K).
        optimizer: updates the network's parameters.
        images: (B, C, S, S) in [0, 1].
        labels: (B,) int64.
        backward: computes the gradients of a scalar.
        arguments: the keyword arguments of classification_loss.
    """
    loss, metrics = classification_loss(network, images, labels, **arguments)
    optimizer.zero_grad()
    backward(loss)
    optimizer.step()
    return metrics


def _weighted_mean(
    objective: nn.Module,
    logits: Tensor,
    targets: list[tuple[Tensor, Tensor]],
    smoothing: float,
    mean_over_devices: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the weighted mean loss. targets: pairs of labels (B,) and the weights (B,) of the images for them."""
    parts = [(*objective(logits, labels, smoothing), share) for labels, share in targets]
    total = sum((weights * share * losses).sum() for losses, weights, share in parts)
    weight = torch.stack([(weights * share).sum() for _, weights, share in parts]).sum()
    return torch.as_tensor(total / mean_over_devices(weight))
