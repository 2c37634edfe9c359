"""One alternating update of D and G in plain PyTorch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fer_experiments.gan.losses import discriminator_loss, probability_of_real

METRICS = ("loss_discriminator", "loss_generator", "score_real", "score_generated")


def adversarial_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizers: Sequence[Any],
    real: Tensor,
    z: Tensor,
    generator_loss: Callable[[Tensor], Tensor],
    backward: Callable[[Tensor], Any] = torch.Tensor.backward,
) -> Tensor:
    """D's step on real (B, C, S, S) in [-1, 1] and G(z), then G's step through the updated D; z (B, latent_dim).

    G(z) is made once and serves both steps. Returns METRICS (4,), detached: both losses, and D's mean score in [0,
    1] on real and on generated images before its update.
    """
    generated = generator(z)
    real_logits, fake_logits = discriminator(real), discriminator(generated.detach())
    optimizer_g, optimizer_d = optimizers
    loss_d = discriminator_loss(real_logits, fake_logits)
    optimizer_d.zero_grad()
    backward(loss_d)
    optimizer_d.step()

    with frozen(discriminator):  # no gradients of D's weights; nor does autocast keep their values before the update
        loss_g = generator_loss(discriminator(generated))
        optimizer_g.zero_grad()
        backward(loss_g)
        optimizer_g.step()

    scores = probability_of_real(real_logits).mean(), probability_of_real(fake_logits).mean()
    return torch.stack([loss_d, loss_g, *scores]).detach()


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
