"""One update of the discriminator and one of the generator, in plain PyTorch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fer_experiments.gan.adaptive_augmentation import AdaptiveAugmentation
from fer_experiments.gan.config import GANConfig
from fer_experiments.gan.diffaugment import diffaugment
from fer_experiments.gan.lecam import LeCam
from fer_experiments.gan.losses import LOSSES, Loss
from fer_experiments.gan.penalties import Penalty, build_penalty


def identity(images: Tensor) -> Tensor:
    """images (B, C, S, S) -> the same images."""
    return images


@dataclass(frozen=True)
class AdversarialObjective:
    """What both networks minimize.

    Attributes:
        loss: the adversarial losses.
        penalty: is added to the discriminator's loss.
        augment: images (B, C, S, S) in [-1, 1] -> what the discriminator gets in their place, with new random draws in
            each call.
        penalty_every: the penalty is in every so many-th step, as many times as large (lazy regularization, Karras et
            al. 2020, StyleGAN2, appendix B). Adam needs no correction, since the penalty is no step of its own here.
        lecam: is added to the discriminator's loss, too.
    """

    loss: Loss
    penalty: Penalty | None = None
    augment: Callable[[Tensor], Tensor] = identity
    penalty_every: int = 1
    lecam: LeCam | None = None

    @classmethod
    def from_config(cls, gan: GANConfig) -> "AdversarialObjective":
        """Build the objective of a configuration."""
        augment: Callable[[Tensor], Tensor] = partial(diffaugment, policy=gan.diffaugment)
        if gan.diffaugment is not None and gan.ada_target is not None:
            augment = AdaptiveAugmentation(gan.diffaugment, gan.ada_target)
        lecam = None if gan.lecam is None else LeCam(gan.lecam)
        return cls(LOSSES[gan.loss], build_penalty(gan), augment, gan.penalty_every, lecam)

    @property
    def adaptive_augmentation(self) -> AdaptiveAugmentation | None:
        """`augment`, if its probability is adapted."""
        return self.augment if isinstance(self.augment, AdaptiveAugmentation) else None

    def at_step(self, step: int) -> "AdversarialObjective":
        """Return the objective of a step, counted from 0: without the penalty in most of them, if it is lazy."""
        return self if step % self.penalty_every == 0 else replace(self, penalty=None)


def adversarial_step(
    generator: nn.Module,
    discriminator: nn.Module,
    optimizers: Sequence[Any],
    real: Tensor,
    z: Tensor,
    objective: AdversarialObjective,
    *,
    labels: Tensor | None = None,
    fake_labels: Tensor | None = None,
    backward: Callable[[Tensor], Any] = torch.Tensor.backward,
) -> dict[str, Tensor]:
    """Update D on real images and G(z), then G through the updated D. G(z) is computed once and serves both updates.

    Args:
        generator: z (B, latent_dim), labels (B,) or None -> images (B, C, S, S) in [-1, 1].
        discriminator: images (B, C, S, S), labels (B,) or None -> logits (B, 1 or 2).
        optimizers: the generator's and the discriminator's.
        real: images (B, C, S, S) in [-1, 1].
        z: standard normal noise (B, latent_dim).
        objective: losses, penalty and augmentation.
        labels: classes (B,) int64 of the real images; None if the networks are not conditional.
        fake_labels: classes (B,) of the images to generate; None: those of the real images.
        backward: computes the gradients of a scalar.

    Returns:
        Scalars, detached: gan/loss_discriminator (without penalties), gan/loss_generator, and from before the
        discriminator's update its mean scores in [0, 1], gan/score_real and gan/score_generated; with adaptive
        augmentation also the mean sign of its logits on real images, gan/sign_real.
    """
    fake_labels = labels if fake_labels is None else fake_labels
    loss, augment = objective.loss, objective.augment
    generated = generator(z, fake_labels)
    real, fake = augment(real), augment(generated.detach())
    real_logits, fake_logits = discriminator(real, labels), discriminator(fake, fake_labels)
    optimizer_g, optimizer_d = optimizers
    loss_d = loss.discriminator(real_logits, fake_logits)
    total_d = loss_d
    if objective.penalty is not None:
        penalty = objective.penalty(lambda images: discriminator(images, labels), real, fake)
        total_d = loss_d + objective.penalty_every * penalty
    if objective.lecam is not None:
        total_d = total_d + objective.lecam(real_logits, fake_logits)
    optimizer_d.zero_grad()
    backward(total_d)
    optimizer_d.step()

    with frozen(discriminator):  # no gradients for D's weights, and autocast keeps no copy from before their update
        logits = [discriminator(augment(generated), fake_labels)]
        if loss.is_relativistic:
            logits.append(discriminator(real, labels))
        loss_g = loss.generator(*logits)
        optimizer_g.zero_grad()
        backward(loss_g)
        optimizer_g.step()

    measured = {
        "gan/loss_discriminator": loss_d.detach(),
        "gan/loss_generator": loss_g.detach(),
        "gan/score_real": loss.score(real_logits).mean().detach(),
        "gan/score_generated": loss.score(fake_logits).mean().detach(),
    }
    if objective.adaptive_augmentation is not None:
        measured["gan/sign_real"] = real_logits[:, 0].sign().mean().detach()
    return measured


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Compute no gradients of the network's weights inside the block."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
