"""A GAN's training: what it sees, and what it leaves before images are drawn from it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np

from fer_experiments.balance.sampling import repeat
from fer_experiments.data.module import ImageData, ImageDataModule
from fer_experiments.evaluation.result import Result
from fer_experiments.gan import GANConfig
from fer_experiments.gan.module import DCGAN
from fer_experiments.gan.pictures import SampleGrid
from fer_experiments.gan.sampling import TrainedGenerator
from fer_experiments.report.tensorboard import COMPARED, write_hyperparameters
from fer_experiments.train.follow import Distance, FollowDistance
from fer_experiments.train.health import write_health
from fer_experiments.train.judge import eye_of, find_judge
from fer_experiments.train.ranks import on_first
from fer_experiments.train.record import device_name
from fer_experiments.train.resume import LAST, Resume

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

BEST = Path("checkpoints", "best.ckpt")
log = logging.getLogger(__name__)


def fit_gan(
    config: Config, data: ImageData, clean: ImageData, classes: list[str], training: str, folder: Path
) -> Result:
    """Train on the training images of `classes`, in as many steps as for those of `clean`, which differ under a leak.

    Checkpoints, samples, health.json and result.json are left in `folder`, and what an earlier start of this training,
    by its fingerprint `training`, left there is gone on from.
    """
    resume = Resume(folder, config.gan.checkpoint_every, training)
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    settings = config.gan
    steps = -(-len(training_places(settings, clean, classes)) // settings.batch_size)
    places = training_places(settings, data, classes)
    images = gan_images(config, data, places, steps)
    model = build_gan(config, data, classes)
    pictures = SampleGrid(folder / "samples", settings.picture_epochs, config.data.stored_channels)
    what = name_of(classes)
    follow = follow_distance(config, data, classes, folder)
    callbacks = [pictures, *follow, resume]
    trainer = config.trainer.build(what, settings.epochs_of(steps), folder, callbacks, validate=False)
    real = count_real(data, places)
    log.info("%s: %d images, %d epochs", what, sum(real.values()), trainer.max_epochs or 0)
    resume.fit(trainer, model, images)
    epoch = trainer.current_epoch if settings.select == "last" else follow[0].epoch
    trained = TrainedGenerator.load(chosen_checkpoint(settings, folder))
    health = write_health(settings, data, trained, model.history, trainer.global_step // 2, folder)
    result = Result(
        job="dcgan",
        arm="gan",
        seed=config.seed,
        classes=list(data.classes),
        real=real,
        generated={},
        repeated={},
        optimizer_steps=trainer.global_step,
        selected_epoch=epoch,
        metrics={},
        history=model.history,
        split_hash=data.split.clean_hash,
        protocol="clean" if data is clean else "leak",
        training=training,
        seconds=resume.seconds,
        device=device_name(trainer),
        precision=config.trainer.arithmetic(trainer.strategy.root_device),
    )
    last = {name.removeprefix("gan/"): value for name, value in model.history[-1].items()}
    shown = {name: last[name] for name in COMPARED if name in last}
    assert trainer.logger is not None
    diversities = {f"gan/{name}": value for name, value in health.values.items() if name.startswith("diversity")}
    trainer.logger.log_metrics(diversities, step=trainer.global_step // 2)
    write_hyperparameters(
        trainer.logger, result, {"gan": settings, "classifier": config.classifier, "joint": config.joint}, shown
    )
    on_first(result.save)(folder)
    return result


def gan_images(config: Config, data: ImageData, places: np.ndarray, steps: int) -> ImageDataModule:
    """The training images at `places`, in so many steps an epoch."""
    return ImageDataModule(
        data,
        image_size=config.gan.image_size,
        batch_size=config.gan.batch_size,
        seed=config.seed,
        train_indices=places,
        steps_per_epoch=steps,
    )


def name_of(classes: list[str]) -> str:
    return f"GAN of {', '.join(classes)}"


def chosen_checkpoint(settings: GANConfig, folder: Path) -> Path:
    """Of the epoch that makes the images."""
    return folder / (LAST if settings.select == "last" else BEST)


def follow_distance(config: Config, data: ImageData, classes: list[str], folder: Path) -> list[FollowDistance]:
    """The callback of gan.kid_every, or none."""
    if config.gan.kid_every is None:
        return []
    distance = Distance(config, data, eye_of(config, find_judge(config, data)), classes)
    return [FollowDistance(distance, config.gan.kid_every, folder / BEST)]


def trained_classes(config: Config, data: ImageData, needed: dict[str, int]) -> list[str]:
    """What the GAN is trained on: all classes if it is conditional, else the one that is needed."""
    assert config.gan.conditional or len(needed) == 1
    return list(data.classes) if config.gan.conditional else list(needed)


def training_places(settings: GANConfig, data: ImageData, classes: Sequence[str]) -> np.ndarray:
    """Places in the training part, those of small classes repeated if gan.labels=balanced."""
    labels = data.split.labels("train")
    if settings.conditional and settings.labels == "balanced":
        return repeat("all", labels, seed=0)
    return np.flatnonzero(np.isin(labels, classes))


def count_real(data: ImageData, places: np.ndarray) -> dict[str, int]:
    """{class: training images}, of those at `places`, repeats not counted."""
    names, counts = np.unique(data.split.labels("train")[np.unique(places)], return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def build_gan(config: Config, data: ImageData, classes: list[str]) -> DCGAN:
    settings = config.gan
    return DCGAN(
        **gan_keys(config),
        discriminator_outputs=settings.discriminator_outputs,
        learning_rate=settings.learning_rate,
        discriminator_learning_rate=settings.discriminator_learning_rate,
        classes=classes if settings.conditional else None,
        provenance={
            "class": None if settings.conditional else classes[0],
            "split_hash": data.split.hash,
            "stored_channels": config.data.stored_channels,
            "seed": config.seed,
        },
    )


def gan_keys(config: Config) -> dict[str, Any]:
    """What conf/gan says of any generator and what it learns from, alone or with a classifier."""
    settings = config.gan
    return {
        "latent_dim": settings.latent_dim,
        "width": settings.width,
        "channels": config.data.channels,
        "image_size": settings.image_size,
        "loss": settings.loss,
        "betas": settings.betas,
        "spectral_norm": settings.regularizer == "spectral_norm",
        "r1_gamma": settings.gamma,
        "ema": settings.ema,
        "diffaugment": settings.diffaugment,
        "mirror": settings.mirror,
    }
