"""Class losses of a trunk whose images are real or generated, as pure functions on logits."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Term = Callable[[Tensor, Tensor], Tensor]


class ClassLoss(NamedTuple):
    """Each maps logits (B, K or 2K) and labels (B,) int64 in [0, K) to losses (B,) in nats: the trunk's on real and on
    generated images, and the generator's on generated ones.
    """

    real: Term
    generated: Term
    generator: Term


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-log p_y, p the softmax over all logits."""
    return F.cross_entropy(logits, labels, reduction="none")


def as_generated(logits: Tensor, labels: Tensor) -> Tensor:
    """-log p_(K+y): the label "generated, of class y" among 2K."""
    return cross_entropy(logits, labels + logits.shape[1] // 2)


def discriminative(logits: Tensor, labels: Tensor) -> Tensor:
    """log p_(K+y) - log p_y: less where an image is rather a real one of its class than a generated one."""
    places = torch.stack([labels + logits.shape[1] // 2, labels], dim=1)
    generated, real = logits.gather(1, places).unbind(1)
    return generated - real


ADC = ClassLoss(cross_entropy, as_generated, discriminative)
"""2K logits. Hou et al. 2022, Conditional GANs with auxiliary discriminative classifier."""
ACGAN = ClassLoss(cross_entropy, cross_entropy, cross_entropy)
"""K logits. Odena et al. 2017, Conditional image synthesis with auxiliary classifier GANs."""
LOSSES = {"adc": ADC, "acgan": ACGAN}  # by joint.head


def accepted(logits: Tensor, asked: Tensor, threshold: float, pseudo_labels: bool) -> tuple[Tensor, Tensor]:
    """Labels (B,) of generated images and which of them count (B,) bool, by a classifier's logits (B, K).

    With pseudo_labels the class that the classifier sees, else the one asked for (B,); it counts where its probability
    is over the threshold (EC-GAN, Haque 2021).
    """
    probabilities = logits.detach().softmax(1)
    labels = probabilities.argmax(1) if pseudo_labels else asked
    return labels, probabilities.gather(1, labels[:, None]).squeeze(1) > threshold


def as_means(real: int, counts: Tensor, weight: float) -> Tensor:
    """Weights (real + B,) with which a weighted mean is (mean of the real + weight x mean of those that count) / sum.

    counts (B,) bool; where none counts, the mean of the real ones is left.
    """
    each = weight * real * counts / counts.sum().clamp(min=1)
    return torch.cat([torch.ones(real, device=counts.device, dtype=each.dtype), each])
