"""What the trainings of a job can't do, known before any of them begins."""

import logging
from collections.abc import Iterable, Sequence

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.gan import GANConfig
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.settings import Settings

log = logging.getLogger(__name__)


def check_gan_trainings(settings: Settings, arms: Iterable[Arm]) -> None:
    """Raise ConfigError if an arm needs a GAN, which the trainer's settings can't train."""
    for arm in arms:
        trains_gan = arm.joint is not None or (
            arm.balance.needs_generated_images and settings.with_gan(arm.gan).gan.pretrained is None
        )
        if trains_gan:
            check_gan_training(settings.with_gan(arm.gan), arm.name)


def check_gan_training(settings: Settings, name: str) -> None:
    """Raise ConfigError for settings of the trainer with which a GAN can't be trained. name: what needs the GAN."""
    count = settings.trainer.accumulate_grad_batches
    if count is not None and count > 1:
        raise ConfigError(
            f"trainer.accumulate_grad_batches={count}: {name} trains a generator, and a GAN updates two networks in "
            "every batch; leave it out and use a larger gan.batch_size, or gan.pretrained for a trained one"
        )
    if settings.trainer.strategy == "ddp":
        raise ConfigError(
            f"trainer.strategy=ddp: {name} trains a generator, and the discriminator's step gives the generator no "
            "gradient, for which plain DDP waits; use trainer=ddp, which sets "
            "trainer.strategy=ddp_find_unused_parameters_true"
        )
    if isinstance(settings.gan, GANConfig) and settings.gan.has_r1 and settings.trainer.synchronises_batch_norm:
        raise ConfigError(
            f"gan.regularizer={settings.gan.regularizer}: {name} would train on several GPUs, whose common BatchNorm "
            "has no second derivative, as the penalty needs it; use trainer.devices=1, or another gan.regularizer"
        )


def check_baseline(name: str, arms: Sequence[Arm]) -> None:
    """Raise ConfigError unless the baseline is one of the arms of real images; warn if there is no such arm at all.

    A study of one arm compares nothing, and needs no baseline. name: of the baseline, with its augmentation.
    """
    if len(arms) == 1:
        return
    names = [ArmName.parse(arm.name).without_settings for arm in arms if _is_simple(arm)]
    if not names:
        log.warning("train.arms: no arm of real images, such as none, to compare with; every verdict will be undecided")
    elif name not in names:
        close = [each for each in names if ArmName.parse(each).balance == ArmName.parse(name).balance]
        remedy = (
            f"did you mean train.baseline={close[0]}?" if close else f"add {name} to train.arms, or name one of them"
        )
        raise ConfigError(
            f"train.baseline={name}: is not among the arms of real images, {', '.join(names)}, so that no arm could be "
            f"said to help; {remedy}"
        )


def _is_simple(arm: Arm) -> bool:
    return not (arm.adds_generated_images or arm.balance.is_control)


def check_generators(arms: Iterable[Arm]) -> None:
    """Raise ConfigError if the generator that an arm has of its own can't be trained. Imports torch."""
    for arm in arms:
        if arm.gan is not None:
            try:
                arm.gan.check_with_torch()
            except ConfigError as error:
                raise ConfigError(f"{arm.name}: {error}") from None


def check_ckpt_path(settings: Settings) -> None:
    """Raise ConfigError if the checkpoint from which a training is to begin does not exist."""
    if settings.ckpt_path is not None and not settings.ckpt_path.is_file():
        raise ConfigError(
            f"ckpt_path={settings.ckpt_path}: there is no such file; give multirun/RUN/checkpoints/last.ckpt of "
            "another run, or leave it out: the same command continues its own run"
        )


def check_pretrained(settings: Settings, seeds: Sequence[int]) -> None:
    """Raise ConfigError if seeds of a study, each with its own split, are to share a GAN."""
    if settings.gan.pretrained is not None and settings.data.split_seed is None and len(seeds) > 1:
        raise ConfigError(
            f"gan.pretrained={settings.gan.pretrained}: its GAN has seen the training images of one split, and each "
            f"seed has its own; use data.split_seed={settings.seed} if it was trained with seed={settings.seed}, or "
            "train.seeds=1"
        )


def check_study_starts_anew(settings: Settings) -> None:
    """Raise ConfigError if a study is to continue other trainings."""
    if settings.ckpt_path is not None:
        raise ConfigError(
            f"ckpt_path={settings.ckpt_path}: a study trains every arm from random weights, with as many steps; use "
            "train=dcgan, train=cnn or train=joint, or gan.pretrained for a GAN that is trained already"
        )
