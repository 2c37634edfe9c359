"""Class losses on real and on generated images, as pure functions of logits."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

Term = Callable[[Tensor, Tensor], Tensor]


class ClassLoss(NamedTuple):
    """The class losses of a head: each maps logits (B, K or 2K), labels (B,) int64 in [0, K) -> losses (B,) in nats.

    real, generated: what the trunk minimizes on real and on generated images. generator: what the generator minimizes.
    """

    real: Term
    generated: Term
    generator: Term


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-log p_y, where p is the softmax over all logits."""
    return F.cross_entropy(logits, labels, reduction="none")


def cross_entropy_as_generated(logits: Tensor, labels: Tensor) -> Tensor:
    """-log p_(K+y): the cross-entropy with the label "generated, of class y" among 2K."""
    return cross_entropy(logits, labels + logits.shape[1] // 2)


def discriminative(logits: Tensor, labels: Tensor) -> Tensor:
    """log p_(K+y) - log p_y: the smaller, the more an image looks like a real one of its class, not a generated one."""
    indices = torch.stack([labels + logits.shape[1] // 2, labels], dim=1)
    generated, real = logits.gather(1, indices).unbind(1)
    return generated - real


ADC = ClassLoss(cross_entropy, cross_entropy_as_generated, discriminative)
"""For 2K logits. Hou et al. 2022, Conditional GANs with auxiliary discriminative classifier."""
ACGAN = ClassLoss(cross_entropy, cross_entropy, cross_entropy)
"""For K logits. Odena et al. 2017, Conditional image synthesis with auxiliary classifier GANs."""
LOSSES = {"adc": ADC, "acgan": ACGAN}  # by joint.head


def accept_generated(logits: Tensor, requested: Tensor, threshold: float, pseudo_labels: bool) -> tuple[Tensor, Tensor]:
    """Return labels (B,) of generated images, and whether each is accepted (B,) bool (EC-GAN, Haque 2021).

    Args:
        logits: the classifier's (B, K).
        requested: the classes (B,) that the generator was given.
        threshold: an image is accepted if the probability of its label exceeds this.
        pseudo_labels: whether the label is the class that the classifier predicts instead of the requested one.
    """
    probabilities = logits.detach().softmax(1)
    labels = probabilities.argmax(1) if pseudo_labels else requested
    return labels, probabilities.gather(1, labels[:, None]).squeeze(1) > threshold


def weights_of_two_means(real: int, accepted: Tensor, weight: float) -> Tensor:
    """Return weights (real + B,) that make the weighted mean of losses a weighted mean of two means.

    It is (mean over real images + weight x mean over accepted generated images) / (1 + weight), or the mean over real
    images if none is accepted. real: the number of real images, which come first; accepted: (B,) bool.
    """
    generated = weight * real * accepted / accepted.sum().clamp(min=1)
    return torch.cat([torch.ones(real, device=accepted.device, dtype=generated.dtype), generated])
