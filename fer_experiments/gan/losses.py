"""Adversarial losses as pure functions of logits, all with one signature.

Logits are (B, 1), the logit of "real", or (B, 2), the logits of "real" and of "fake", each with its own sigmoid and a
one-hot target: Table 1 of the paper ends in two sigmoid outputs. Only the cross-entropies take two, and average over
images and outputs.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Loss(NamedTuple):
    """The losses of both networks, and the discriminator's score.

    discriminator(real logits, fake logits) and generator(fake logits) are scalars to minimize. score(logits) is (B,) in
    [0, 1]: 1 if D takes an image for real without any doubt, 0 if it takes it for generated. If is_relativistic, the
    generator's loss is generator(fake logits, real logits).
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[..., Tensor]
    score: Callable[[Tensor], Tensor]
    is_relativistic: bool = False


def cross_entropy(logits: Tensor, is_real: bool) -> Tensor:
    """logits (B, 1 or 2) -> their binary cross-entropy, a scalar, if all images are real, or all are generated."""
    target = torch.zeros_like(logits)
    if is_real:
        target[:, 0] = 1
    elif logits.shape[1] == 2:
        target[:, 1] = 1
    return F.binary_cross_entropy_with_logits(logits, target)


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))]: what D minimizes in min_G max_D (Goodfellow et al. 2014, equation 1)."""
    return cross_entropy(real_logits, is_real=True) + cross_entropy(fake_logits, is_real=False)


def non_saturating(fake_logits: Tensor) -> Tensor:
    """-E[log D(G(z))]: what G minimizes (Goodfellow et al. 2014, section 3)."""
    return cross_entropy(fake_logits, is_real=True)


def minimax(fake_logits: Tensor) -> Tensor:
    """E[log(1 - D(G(z)))]: what G minimizes in min_G max_D itself."""
    return -cross_entropy(fake_logits, is_real=False)


def hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (Lim & Ye 2017; Miyato et al. 2018, equation 16)."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def least_squares_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[(D(x) - 1)^2] / 2 + E[D(G(z))^2] / 2 (Mao et al. 2017, equation 9)."""
    return ((real_logits - 1).square().mean() + fake_logits.square().mean()) / 2


def least_squares_generator(fake_logits: Tensor) -> Tensor:
    """E[(D(G(z)) - 1)^2] / 2 (Mao et al. 2017, equation 9)."""
    return (fake_logits - 1).square().mean() / 2


def wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[D(G(z))] - E[D(x)] (Arjovsky et al. 2017); it needs penalties.gradient_penalty (Gulrajani et al. 2017)."""
    return fake_logits.mean() - real_logits.mean()


def relativistic_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[log sigmoid(D(x) - D(G(z)))] over pairs of a real and a generated image (Jolicoeur-Martineau 2019, RpGAN).

    It needs R1 and R2 to converge (Huang et al. 2024, R3GAN).
    """
    return F.softplus(fake_logits - real_logits).mean()


def relativistic_generator(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """-E[log sigmoid(D(G(z)) - D(x))] over the same pairs."""
    return F.softplus(real_logits - fake_logits).mean()


def negative_mean(fake_logits: Tensor) -> Tensor:
    """-E[D(G(z))]: what G minimizes against a hinge or a Wasserstein critic."""
    return -fake_logits.mean()


def probability_of_real(logits: Tensor) -> Tensor:
    """The sigmoid of the logit of "real".

    It means little for a Wasserstein critic or the relativistic loss, whose logits have no zero point.
    """
    return torch.sigmoid(logits[:, 0])


def within_margins(logits: Tensor) -> Tensor:
    """Hinge logits -> 0 at the margin -1, 1 at the margin 1, linear in between. D gains nothing beyond the margins."""
    return ((logits[:, 0] + 1) / 2).clamp(0, 1)


def between_targets(logits: Tensor) -> Tensor:
    """Logits of least squares -> the same, clamped to their targets 0 and 1."""
    return logits[:, 0].clamp(0, 1)


BCE = Loss(discriminator_loss, non_saturating, probability_of_real)
LOSSES = {
    "bce": BCE,
    "non_saturating": BCE,
    "minimax": Loss(discriminator_loss, minimax, probability_of_real),
    "hinge": Loss(hinge_discriminator, negative_mean, within_margins),
    "lsgan": Loss(least_squares_discriminator, least_squares_generator, between_targets),
    "relativistic": Loss(relativistic_discriminator, relativistic_generator, probability_of_real, is_relativistic=True),
    "wgan_gp": Loss(wasserstein_discriminator, negative_mean, probability_of_real),
}
