"""What the trainings of a job can't do, known before any of them begins."""

from collections.abc import Iterable

from fer_experiments.errors import ConfigError
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.settings import Settings


def check_accumulation(settings: Settings, arms: Iterable[Arm]) -> None:
    """Raise ConfigError if gradients are to be accumulated, and one of the arms needs a GAN to be trained."""
    for arm in arms:
        trains_gan = arm.joint is not None or (
            arm.balance.needs_generated_images and settings.with_gan(arm.gan).gan.pretrained is None
        )
        if trains_gan:
            check_accumulation_of_gan(settings, arm.name)


def check_accumulation_of_gan(settings: Settings, name: str) -> None:
    """Raise ConfigError if gradients are to be accumulated where a GAN is trained. name: what needs the GAN."""
    count = settings.trainer.accumulate_grad_batches
    if count is not None and count > 1:
        raise ConfigError(
            f"trainer.accumulate_grad_batches={count}: {name} trains a generator, and a GAN updates two networks in "
            "every batch; leave it out and use a larger gan.batch_size, or gan.pretrained for a trained one"
        )


def check_generators(arms: Iterable[Arm]) -> None:
    """Raise ConfigError if the generator that an arm has of its own can't be trained. Imports torch."""
    for arm in arms:
        if arm.gan is not None:
            try:
                arm.gan.check_with_torch()
            except ConfigError as error:
                raise ConfigError(f"{arm.name}: {error}") from None


def check_study_starts_anew(settings: Settings) -> None:
    """Raise ConfigError if a study is to continue other trainings."""
    if settings.ckpt_path is not None:
        raise ConfigError(
            f"ckpt_path={settings.ckpt_path}: a study trains every arm from random weights, with as many steps; use "
            "train=dcgan, train=cnn or train=joint, or gan.pretrained for a GAN that is trained already"
        )
