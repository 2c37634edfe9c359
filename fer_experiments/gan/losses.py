"""The adversarial objective min_G max_D E[log D(x)] + E[log(1 - D(G(z)))] as losses on logits.

Logits are (B, 1): of real, or (B, 2): of real and of fake, each with its own sigmoid and a one-hot target (Table 1
of the paper ends in two sigmoid outputs). Both forms give binary cross-entropy, averaged over images and outputs.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(logits: Tensor, real: bool) -> Tensor:
    """Binary cross-entropy of logits (B, 1 or 2) against "all real" or "all generated"; a scalar."""
    target = torch.zeros_like(logits)
    if real:
        target[:, 0] = 1
    elif logits.shape[1] == 2:
        target[:, 1] = 1
    return F.binary_cross_entropy_with_logits(logits, target)


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))]: what D minimises."""
    return cross_entropy(real_logits, real=True) + cross_entropy(fake_logits, real=False)


def non_saturating(fake_logits: Tensor) -> Tensor:
    """-E[log D(G(z))]: what G minimises (Goodfellow et al. 2014, section 3)."""
    return cross_entropy(fake_logits, real=True)


def minimax(fake_logits: Tensor) -> Tensor:
    """E[log(1 - D(G(z)))]: what G minimises in the objective as written."""
    return -cross_entropy(fake_logits, real=False)


GENERATOR_LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "non_saturating": non_saturating,
    "minimax": minimax,
}


def probability_of_real(logits: Tensor) -> Tensor:
    """D's score (B,) in [0, 1]: the sigmoid of the logit of real."""
    return torch.sigmoid(logits[:, 0])
