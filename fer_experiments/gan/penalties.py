"""Penalties on the discriminator's gradient by its input, added to its loss.

Both take D as a function images (B, C, S, S) -> logits (B, 1), and the real and generated images as D sees them; both
return a scalar through which D's weights get gradients.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

Penalty = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]
GRADIENT_PENALTY_WEIGHT = 10.0  # Gulrajani et al. 2017, algorithm 1


def r1(score: Callable[[Tensor], Tensor], real: Tensor, generated: Tensor, gamma: float) -> Tensor:
    """gamma / 2 E|grad_x D(x)|^2 at real images x (Mescheder et al. 2018, equation 9)."""
    return gamma / 2 * input_gradient(score, real).square().sum(1).mean()


def gradient_penalty(score: Callable[[Tensor], Tensor], real: Tensor, generated: Tensor) -> Tensor:
    """E[(|grad_x D(x)| - 1)^2] at x drawn evenly between pairs of a real and a generated image (Gulrajani et al. 2017).

    Without its weight of GRADIENT_PENALTY_WEIGHT.
    """
    share = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
    between = torch.lerp(generated.to(real.dtype), real, share)  # under autocast the generated ones are bfloat16
    return (input_gradient(score, between).norm(dim=1) - 1).square().mean()


def input_gradient(score: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """grad_x D(x) (B, C S S), itself differentiable by D's weights."""
    images = images.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(score(images).sum(), images, create_graph=True)
    return gradient.flatten(1)


def default_gamma(image_size: int, batch_size: int) -> float:
    """0.0002 size^2 / batch, the heuristic of Karras et al. 2020 (StyleGAN2-ADA): 0.0128 at 64 pixels and batch 64."""
    return 0.0002 * image_size**2 / batch_size


def penalty_of(loss: str, r1_gamma: float | None) -> Penalty | None:
    """What a loss or a regularizer adds to D's loss."""
    if loss == "wgan_gp":
        return lambda score, real, generated: GRADIENT_PENALTY_WEIGHT * gradient_penalty(score, real, generated)
    return None if r1_gamma is None else partial(r1, gamma=r1_gamma)
