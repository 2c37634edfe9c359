"""One alternating update of D and G in plain PyTorch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from fer_experiments.gan.losses import Loss
from fer_experiments.gan.penalties import Penalty

METRICS = ("loss_discriminator", "loss_generator", "score_real", "score_generated")


def unchanged(images: Tensor) -> Tensor:
    return images


def adversarial_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizers: Sequence[Any],
    real: Tensor,
    z: Tensor,
    loss: Loss,
    backward: Callable[[Tensor], Any] = torch.Tensor.backward,
    labels: Tensor | None = None,
    augment: Callable[[Tensor], Tensor] = unchanged,
    penalty: Penalty | None = None,
    asked: Tensor | None = None,
) -> Tensor:
    """D's step on real (B, C, S, S) in [-1, 1] and G(z), then G's step through the updated D; z (B, latent_dim).

    G(z) is made once and serves both steps. labels (B,): classes of the real images; asked (B,): those that G is to
    make, None: the same, so that both have the same shares. augment: what D sees of any image, drawn anew each time.
    Returns METRICS (4,), detached: both losses, D's with its penalty, and D's mean score in [0, 1] on real and on
    generated images before its update.
    """
    asked = labels if asked is None else asked
    generated = generator(z, asked)
    real, fake = augment(real), augment(generated.detach())
    real_logits, fake_logits = discriminator(real, labels), discriminator(fake, asked)
    optimizer_g, optimizer_d = optimizers
    loss_d = loss.discriminator(real_logits, fake_logits)
    if penalty is not None:
        loss_d = loss_d + penalty(lambda images: discriminator(images, labels), real, fake)
    optimizer_d.zero_grad()
    backward(loss_d)
    optimizer_d.step()

    with frozen(discriminator):  # no gradients of D's weights; nor does autocast keep their values before the update
        loss_g = loss.generator(discriminator(augment(generated), asked))
        optimizer_g.zero_grad()
        backward(loss_g)
        optimizer_g.step()

    scores = loss.score(real_logits).mean(), loss.score(fake_logits).mean()
    return torch.stack([loss_d, loss_g, *scores]).detach()


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
