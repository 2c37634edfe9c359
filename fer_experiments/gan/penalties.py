"""Penalties on the gradient of the discriminator by its input, which are added to the discriminator's loss.

Both take D as a function images (B, C, S, S) -> logits (B, 1), and real and generated images after augmentation. Both
return a scalar that is differentiable by D's weights.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from fer_experiments.gan.config import GANConfig

Penalty = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]
GRADIENT_PENALTY_WEIGHT = 10.0  # Gulrajani et al. 2017, algorithm 1


def r1(discriminator: Callable[[Tensor], Tensor], real: Tensor, generated: Tensor, gamma: float) -> Tensor:
    """gamma / 2 E[|grad_x D(x)|^2] at real images x (Mescheder et al. 2018, equation 9)."""
    return gamma / 2 * input_gradient(discriminator, real).square().sum(1).mean()


def r1_r2(discriminator: Callable[[Tensor], Tensor], real: Tensor, generated: Tensor, gamma: float) -> Tensor:
    """R1 plus R2, the same at generated images (Mescheder et al. 2018; Huang et al. 2024, equation 6)."""
    return r1(discriminator, real, generated, gamma) + r1(discriminator, generated.to(real.dtype), real, gamma)


def gradient_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, generated: Tensor) -> Tensor:
    """E[(|grad_x D(x)| - 1)^2] at points x, drawn uniformly between a real and a generated image.

    Gulrajani et al. 2017, without the weight GRADIENT_PENALTY_WEIGHT.
    """
    fraction = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
    points = torch.lerp(generated.to(real.dtype), real, fraction)  # under autocast generated images are bfloat16
    return (input_gradient(discriminator, points).norm(dim=1) - 1).square().mean()


def input_gradient(discriminator: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """images x (B, C, S, S) -> grad_x D(x) (B, C S S), which is itself differentiable by D's weights."""
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    return gradient.flatten(1)


def build_penalty(gan: GANConfig) -> Penalty | None:
    """Return the penalty that gan.loss needs, else that of gan.regularizer, else None."""
    if gan.loss == "wgan_gp":
        return lambda discriminator, real, generated: (
            GRADIENT_PENALTY_WEIGHT * gradient_penalty(discriminator, real, generated)
        )
    if gan.gamma is None:
        return None
    return partial(r1_r2 if gan.regularizer == "r1_r2" else r1, gamma=gan.gamma)
