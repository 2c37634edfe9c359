"""Training a classifier together with a GAN: what it sees, what it is, and what it leaves of the GAN."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_experiments.balance import Plan
from fer_experiments.data.module import ImageData, ImageDataModule
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.gan.health import Keys
from fer_experiments.gan.networks import normalisation_of
from fer_experiments.gan.sampling import TrainedGenerator
from fer_experiments.joint.module import External, JointClassifier, TwoHeaded
from fer_experiments.joint.networks import Trunk
from fer_experiments.spec import call
from fer_experiments.train.audit import audit_generated
from fer_experiments.train.build import provenance, steps_per_epoch
from fer_experiments.train.dcgan import WITHOUT_NEED
from fer_experiments.train.draw import Rejection, draw_images
from fer_experiments.train.gan_training import gan_keys
from fer_experiments.train.health import write_health
from fer_experiments.train.ranks import on_first
from fer_experiments.train.resume import LAST

if TYPE_CHECKING:
    from fer_experiments.joint import JointConfig
    from fer_experiments.train.arm import Arm
    from fer_experiments.train.config import Config

KEYS = Keys(
    longer="Set more classifier.epochs",
    shorter="fewer classifier.epochs",
    slower="a smaller joint.learning_rate or, with joint.head=external, gan.discriminator_learning_rate",
)
TRUNK = f"{Trunk.__module__}.{Trunk.__qualname__}"


def check_joint(config: Config, arm: Arm) -> None:
    """Raises ConfigError for what an arm that is trained together with a GAN can't be."""
    if arm.joint is None:
        return
    if arm.leak:
        raise ConfigError(
            f"train.arms: {arm.name}: with the test images its GAN would have its classifier, too; leave out @leak"
        )
    if not arm.augment.differentiable:
        raise ConfigError(
            f"augment: {arm.name}: what a GAN's networks see needs a gradient; use augment=none, traditional or strong"
        )
    if config.trainer.several:
        raise ConfigError(f"trainer.devices: {arm.name} is trained on one device; use trainer.devices=1")
    if not arm.joint.shared and (config.gan.loss == "wgan_gp" or config.gan.regularizer == "r1"):
        raise ConfigError(
            f"joint.shared=false: {arm.name}: a gradient penalty, as of gan.loss={config.gan.loss} with "
            f"gan.regularizer={config.gan.regularizer}, would train the trunk; use joint.shared=true, or neither"
        )
    if real_images(config, arm.joint) < 2:
        raise ConfigError(
            f"classifier.batch_size={config.classifier.batch_size}: leaves fewer than the two real images that "
            f"BatchNorm needs with joint.share={arm.joint.share}"
        )


def real_images(config: Config, joint: JointConfig) -> int:
    """In a batch; the rest of classifier.batch_size are generated ones in the class loss."""
    size = config.classifier.batch_size
    return size - round(joint.share * size)


def image_size(config: Config, joint: JointConfig) -> int:
    """That the classifier takes."""
    return config.classifier.image_size if joint.external else config.gan.image_size


def joint_images(config: Config, data: ImageData, plan: Plan, joint: JointConfig) -> ImageDataModule:
    """The real images, in as many steps an epoch as every arm has; the module augments them."""
    return ImageDataModule(
        data,
        image_size=image_size(config, joint),
        batch_size=real_images(config, joint),
        seed=config.seed,
        train_indices=plan.indices,
        steps_per_epoch=steps_per_epoch(data, config.classifier.batch_size),
    )


def build_joint(config: Config, data: ImageData, arm: Arm, plan: Plan, joint: JointConfig) -> JointClassifier:
    """The trunk is trained as conf/gan has a discriminator, another network as conf/classifier has it."""
    settings, gan = config.classifier, config.gan
    size = image_size(config, joint)
    node = settings.network if joint.external else _trunk(config, joint)
    network = call(node, num_classes=len(data.classes), channels=config.data.channels, image_size=size)
    keys: dict[str, Any] = {
        "joint": joint,
        "augment": arm.augment.smooth,
        "probabilities": joint.probabilities(data.split.labels("train"), data.classes),
        "classed": settings.batch_size - real_images(config, joint),
        "learning_rate_generator": gan.learning_rate,
        "learning_rate_discriminator": gan.discriminator_learning_rate or gan.learning_rate,
        "classes": list(data.classes),
        "objective": plan.objective,
        "schedule": settings.schedule,
        "mirror_test": settings.mirror_test,
        "provenance": provenance(config, data, node, size),
        **gan_keys(config),
    }
    if joint.external:
        return External(
            network,
            optimizer=settings.optimizer,
            learning_rate=settings.learning_rate,
            mixing=settings.mixing(),
            label_smoothing=settings.label_smoothing,
            **keys,
        )
    return TwoHeaded(
        network,
        optimizer={"_target_": "torch.optim.Adam", "betas": gan.betas, "fused": True},
        learning_rate=joint.learning_rate,
        **keys,
    )


def _trunk(config: Config, joint: JointConfig) -> dict[str, Any]:
    """As classifier.network names another."""
    return {
        "_target_": TRUNK,
        "width": config.gan.width,
        "normalisation": normalisation_of(config.gan.loss, config.gan.regularizer == "spectral_norm"),
        "contrast": joint.head == "adc",
    }


def leave_gan(config: Config, data: ImageData, model: JointClassifier, result: Result, folder: Path) -> None:
    """What train=dcgan leaves, in `folder`, the classifier's own "gan": health, images of each class, their audits."""
    trained = TrainedGenerator.load(folder.parent / LAST)
    steps = result.optimizer_steps
    a_row = steps // len(model.history)
    history = [
        {"step": row["epoch"] * a_row, "epoch": row["epoch"]}
        | {name: value for name, value in row.items() if name.startswith("gan/")}
        for row in model.history
    ]
    write_health(config.gan, data, trained, history, steps, folder, KEYS)
    written = _write_images(trained, folder)
    for label, count in written.items():
        audit_generated(config, data, label, count, folder / "synthetic", folder / label)
    changes = {"job": "dcgan", "arm": "gan", "generated": written, "repeated": {}, "metrics": {}, "history": history}
    on_first(result.model_copy(update=changes).save)(folder)


@on_first
def _write_images(trained: TrainedGenerator, folder: Path) -> dict[str, int]:
    return draw_images(trained, dict.fromkeys(trained.classes, WITHOUT_NEED), folder / "synthetic", Rejection(), None)
