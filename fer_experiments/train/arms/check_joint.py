"""Whether an arm can be trained together with a GAN."""

from fer_experiments.errors import ConfigError
from fer_experiments.gan import GANConfig
from fer_experiments.joint import JointConfig
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.settings import Settings


def check_joint(settings: Settings, arm: Arm) -> None:
    """Raise ConfigError if the arm is trained together with a GAN and can't be."""
    if arm.joint is None:
        return
    gan, batch_size = settings.gan, settings.classifier.batch_size
    if not isinstance(gan, GANConfig):
        raise ConfigError(
            f"gan: {arm.name}: only a DCGAN is trained together with a classifier; use gan=dcgan or gan=conditional"
        )
    if keys := _keys_of_gans_alone(gan):
        raise ConfigError(
            f"gan: {arm.name}: {', '.join(keys)} are for a GAN that is trained alone; use gan.loss=bce, "
            "gan.regularizer=r1 or none, and null for the others"
        )
    if settings.classifier.freeze is not None:
        raise ConfigError(
            f"classifier.freeze={settings.classifier.freeze}: {arm.name} trains the whole classifier with its GAN; use "
            "classifier.freeze=null"
        )
    if arm.leak:
        raise ConfigError(
            f"train.arms: {arm.name}: its classifier would be trained on the test images, like its GAN; leave out @leak"
        )
    if not arm.augment.differentiable:
        raise ConfigError(
            f"augment: {arm.name}: what a GAN's networks see needs a gradient; use augment=none, traditional or strong"
        )
    if settings.trainer.is_distributed:
        raise ConfigError(f"trainer.devices: {arm.name} is trained on one device; use trainer.devices=1")
    if not arm.joint.share_trunk and gan.has_r1_or_gradient_penalty:
        raise ConfigError(
            f"joint.share_trunk=false: {arm.name}: the gradient penalty of gan.loss={gan.loss} with "
            f"gan.regularizer={gan.regularizer} would train the trunk; use joint.share_trunk=true, or no penalty"
        )
    if batch_size - arm.joint.generated_in_batch(batch_size) < 2:
        raise ConfigError(
            f"classifier.batch_size={batch_size}: with joint.generated_fraction={arm.joint.generated_fraction} a batch "
            "has fewer than the two real images that BatchNorm needs"
        )


def _keys_of_gans_alone(gan: GANConfig) -> list[str]:
    """Return the settings, such as "lecam=0.1", that joint training does not have."""
    values = {"lecam": gan.lecam, "ada_target": gan.ada_target, "transition": gan.transition}
    choices = [("loss", gan.loss, "relativistic"), ("regularizer", gan.regularizer, "r1_r2")]
    return [f"{key}={value}" for key, value, refused in choices if value == refused] + [
        f"{key}={value}" for key, value in values.items() if value is not None
    ]


def classifier_image_size(settings: Settings, joint: JointConfig) -> int:
    """Return the side of the images that the classifier takes: the trunk's is the GAN's."""
    return settings.classifier.image_size if joint.is_external else settings.gan.image_size
