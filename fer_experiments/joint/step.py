"""One update of a trunk with two heads and of the generator, in plain PyTorch."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fer_experiments.gan.losses import Loss
from fer_experiments.gan.penalties import Penalty
from fer_experiments.gan.step import frozen
from fer_experiments.joint.config import JointConfig
from fer_experiments.joint.losses import LOSSES
from fer_experiments.joint.networks import Trunk, unrecorded

METRICS = (
    "train/loss",
    "train/accuracy",
    "gan/loss_discriminator",
    "gan/loss_generator",
    "gan/score_real",
    "gan/score_generated",
    "joint/loss_classes_generated",
    "joint/loss_classes_generator",
    "joint/recognised",
)


def two_headed_step(
    generator: nn.Module,
    trunk: Trunk,
    optimizers: Sequence[Any],
    real: Tensor,
    labels: Tensor,
    z: Tensor,
    asked: Tensor,
    joint: JointConfig,
    classed: int,
    ready: Tensor,
    loss: Loss,
    backward: Callable[[Tensor], Any],
    see: Callable[[Tensor], Tensor],
    penalty: Penalty | None = None,
) -> Tensor:
    """The trunk's step on real (B, C, S, S) in [-1, 1] of classes labels (B,) and on G(z) of classes asked (B,), then
    G's step through the updated trunk; z (B, latent_dim).

    joint: which class loss, and what each loss counts; where it is not shared, the adversarial loss trains its own
    layer of the trunk alone. The first `classed` generated images have a part in the class loss, all in the adversarial
    one. ready: a scalar, by which class losses on generated images are multiplied, 0 during the warm-up. see: what the
    trunk sees of any image, drawn anew each time. Returns METRICS (9,), detached and before the updates; train/loss and
    train/accuracy are of the softmax over the real classes' logits, on the real images.
    """
    optimizer_trunk, optimizer_g = optimizers
    class_loss = LOSSES[joint.head]
    generated = generator(z, asked)
    seen, fake = see(real), see(generated.detach())
    on_real = trunk.heads(seen, joint.shared)
    with unrecorded(trunk):
        on_fake = trunk.heads(fake, joint.shared)
    adversarial = loss.discriminator(on_real.adversarial, on_fake.adversarial)
    classes = class_loss.real(on_real.classes, labels).mean()
    of_generated = class_loss.generated(on_fake.classes[:classed], asked[:classed]).sum() / max(classed, 1)
    of_both = classes + ready * joint.beside_real * of_generated
    total = joint.adversarial_weight * adversarial + joint.class_weight * of_both
    if penalty is not None:
        with unrecorded(trunk):
            paid = penalty(lambda images: trunk.heads(images).adversarial, seen, fake)
        total = total + joint.adversarial_weight * paid
    optimizer_trunk.zero_grad()
    backward(total)
    optimizer_trunk.step()

    with frozen(trunk), unrecorded(trunk):
        heads = trunk.heads(see(generated))
        adversarial_g = loss.generator(heads.adversarial)
        classes_g = class_loss.generator(heads.classes, asked).mean()
        total_g = joint.adversarial_weight * adversarial_g + ready * joint.generator_class_weight * classes_g
        optimizer_g.zero_grad()
        backward(total_g)
        optimizer_g.step()

    with torch.no_grad():
        logits = on_real.classes[:, : trunk.num_classes]
        plain = F.cross_entropy(logits, labels)
        right = (logits.argmax(1) == labels).float().mean()
        recognised = (on_fake.classes[:, : trunk.num_classes].argmax(1) == asked).float().mean()
        scores = loss.score(on_real.adversarial).mean(), loss.score(on_fake.adversarial).mean()
        found = [plain, right, adversarial, adversarial_g, *scores, of_generated, classes_g, recognised]
        return torch.stack([value.detach().float() for value in found])
