"""One update of a trunk with two heads and of the generator, in plain PyTorch."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fer_experiments.gan.step import AdversarialObjective, frozen
from fer_experiments.joint.config import JointConfig
from fer_experiments.joint.losses import LOSSES
from fer_experiments.joint.networks import Trunk, without_running_statistics


def two_headed_step(
    generator: nn.Module,
    trunk: Trunk,
    optimizers: Sequence[Any],
    real: Tensor,
    labels: Tensor,
    z: Tensor,
    fake_labels: Tensor,
    *,
    objective: AdversarialObjective,
    joint: JointConfig,
    in_class_loss: int,
    warm_up_factor: float,
    backward: Callable[[Tensor], Any] = torch.Tensor.backward,
) -> dict[str, Tensor]:
    """Update the trunk on real images and G(z), then G through the updated trunk.

    Args:
        generator: z (B, latent_dim), labels (B,) -> images (B, C, S, S) in [-1, 1].
        trunk: its `heads` take images (B, C, S, S) in [-1, 1].
        optimizers: the trunk's and the generator's.
        real: images (B, C, S, S) in [-1, 1].
        labels: their classes (B,) int64.
        z: standard normal noise (B, latent_dim).
        fake_labels: the classes (B,) of the images to generate.
        objective: the adversarial losses, their penalty, and the augmentation of what the trunk sees.
        joint: the class losses and the weights of all losses. Without share_trunk the adversarial loss trains only its
            own layer of the trunk.
        in_class_loss: how many of the generated images have a part in the trunk's class loss.
        warm_up_factor: the factor by which class losses on generated images are multiplied, 0 during the warm-up.
        backward: computes the gradients of a scalar.

    Returns:
        Detached scalars from the logits before each update: train/loss and train/accuracy on real images;
        gan/loss_discriminator, gan/loss_generator, gan/score_real, gan/score_generated of the adversarial head;
        joint/loss_classes_generated and joint/loss_classes_generator, the class losses of trunk and generator on
        generated images; joint/recognised, the share of generated images whose class the trunk predicts.
    """
    optimizer_trunk, optimizer_g = optimizers
    loss, augment = objective.loss, objective.augment
    class_loss = LOSSES[joint.head]
    generated = generator(z, fake_labels)
    real_augmented, fake_augmented = augment(real), augment(generated.detach())
    real_heads = trunk.heads(real_augmented, joint.share_trunk)
    with without_running_statistics(trunk):
        fake_heads = trunk.heads(fake_augmented, joint.share_trunk)
    adversarial = loss.discriminator(real_heads.adversarial, fake_heads.adversarial)
    real_classes = class_loss.real(real_heads.classes, labels).mean()
    fake_losses = class_loss.generated(fake_heads.classes[:in_class_loss], fake_labels[:in_class_loss])
    fake_classes = fake_losses.sum() / max(in_class_loss, 1)
    classes = real_classes + warm_up_factor * joint.generated_loss_weight * fake_classes
    total = joint.adversarial_weight * adversarial + joint.class_weight * classes
    if objective.penalty is not None:
        with without_running_statistics(trunk):
            penalty = objective.penalty(lambda images: trunk.heads(images).adversarial, real_augmented, fake_augmented)
        total = total + joint.adversarial_weight * objective.penalty_every * penalty
    optimizer_trunk.zero_grad()
    backward(total)
    optimizer_trunk.step()

    with frozen(trunk), without_running_statistics(trunk):
        heads = trunk.heads(augment(generated))
        adversarial_g = loss.generator(heads.adversarial)
        classes_g = class_loss.generator(heads.classes, fake_labels).mean()
        total_g = joint.adversarial_weight * adversarial_g + warm_up_factor * joint.generator_class_weight * classes_g
        optimizer_g.zero_grad()
        backward(total_g)
        optimizer_g.step()

    with torch.no_grad():
        real_logits, fake_logits = (heads.classes[:, : trunk.num_classes] for heads in (real_heads, fake_heads))
        return {
            "train/loss": F.cross_entropy(real_logits, labels),
            "train/accuracy": (real_logits.argmax(1) == labels).float().mean(),
            "gan/loss_discriminator": adversarial.detach(),
            "gan/loss_generator": adversarial_g.detach(),
            "gan/score_real": loss.score(real_heads.adversarial).mean(),
            "gan/score_generated": loss.score(fake_heads.adversarial).mean(),
            "joint/loss_classes_generated": fake_classes.detach(),
            "joint/loss_classes_generator": classes_g.detach(),
            "joint/recognised": (fake_logits.argmax(1) == fake_labels).float().mean(),
        }
