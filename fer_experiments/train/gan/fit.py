"""The training of a GAN, and what it leaves before images are drawn from it."""

import logging
import math
from pathlib import Path
from typing import Any

import lightning
import numpy as np

from fer_experiments.audit.feature_extractor import build_feature_extractor
from fer_experiments.audit.reference_training import get_or_train_reference_classifier
from fer_experiments.data.datamodule import ImageDataModule
from fer_experiments.data.prepared import PreparedData
from fer_experiments.distributed import on_rank_zero
from fer_experiments.evaluation.result import Result, Trained
from fer_experiments.gan import GANConfig, GeneratorConfig
from fer_experiments.gan.build import build_generator
from fer_experiments.gan.health import Health
from fer_experiments.gan.history import count_steps
from fer_experiments.gan.trained import TrainedGenerator
from fer_experiments.train.gan.health import write_health
from fer_experiments.train.gan.selection import count_steps_per_epoch, describe_gan, training_places
from fer_experiments.train.gan.track_history import TrackHistory
from fer_experiments.train.gan.track_kid import KIDToValidation, TrackKID
from fer_experiments.train.open_trainer import Training, open_trainer
from fer_experiments.train.settings import Settings
from fer_experiments.trainer.callbacks.build import GAN_METRICS
from fer_experiments.trainer.callbacks.checkpoints import (
    BEST_CHECKPOINT,
    LAST_CHECKPOINT,
    BestCheckpoint,
    LastCheckpoint,
    read_epoch,
)
from fer_experiments.trainer.callbacks.exact_resume import ExactResume
from fer_experiments.trainer.callbacks.sample_grid import SampleGrid
from fer_experiments.trainer.device_name import describe_device
from fer_experiments.trainer.loggers.summary import log_outcome
from fer_experiments.trainer.loggers.tensorboard import HPARAM_METRICS

log = logging.getLogger(__name__)


def fit_gan(
    settings: Settings,
    data: PreparedData,
    clean_data: PreparedData,
    classes: list[str],
    fingerprint: str,
    folder: Path,
) -> Result:
    """Train the GAN; leave checkpoints, samples, health.json and result.json in `folder`.

    What an earlier start of this training left there is continued.

    Args:
        settings: the configuration.
        data: the training images; under a leak the test images as well.
        clean_data: the data without a leak, which determine the number of steps.
        classes: on whose images the GAN is trained.
        fingerprint: of the training (train/gan/sharing.py).
        folder: where the GAN is written.
    """
    gan = settings.gan
    resume = ExactResume(folder, fingerprint)
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    steps = count_steps_per_epoch(gan, clean_data, classes)
    places = training_places(gan, data, classes)
    images = gan_datamodule(settings, data, places, steps)
    model: Any = build_gan(settings, data, classes)
    training = Training(describe_gan(gan, classes), "gan", GAN_METRICS, gan.epochs_for(steps), folder)
    callbacks = [
        *([] if isinstance(gan, GANConfig) else [TrackHistory()]),
        SampleGrid(folder / "samples", gan.picture_epochs, data.source.stored_channels),
        *_build_kid_callbacks(settings, data, classes, training),
        LastCheckpoint(folder, gan.checkpoint_every),
    ]
    with open_trainer(settings, training, callbacks, resume) as trainer:
        real = count_real(data, places)
        log.info("%s: %d images, %d epochs", training.name, sum(real.values()), trainer.max_epochs or 0)
        resume.fit(trainer, model, images, settings.ckpt_path)

        generator = TrainedGenerator.load(
            chosen_checkpoint(gan, folder), gan.module_target, device=settings.trainer.first_device
        )
        health = write_health(gan, data, generator, model.history, count_steps(trainer), folder)
        result = Result(
            job=Trained.GAN,
            arm="gan",
            seed=settings.seed,
            classes=list(data.classes),
            real=real,
            generated={},
            repeated={},
            optimizer_steps=trainer.global_step,
            selected_epoch=read_epoch(chosen_checkpoint(gan, folder)),
            metrics={},
            history=model.history,
            split_hash=data.split.clean_hash,
            protocol="clean" if data is clean_data else "leak",
            fingerprint=fingerprint,
            seconds=resume.seconds,
            **describe_device(settings.trainer, trainer),
        )
        _log_outcome(trainer, settings, result, health)
        on_rank_zero(result.save)(folder)
    return result


def _log_outcome(trainer: lightning.Trainer, settings: Settings, result: Result, health: Health) -> None:
    """Log the numbers of the finished training, with the diversity of its samples."""
    last = health.values | {name.removeprefix("gan/"): value for name, value in result.history[-1].items()}
    metrics = {name: last[name] for name in HPARAM_METRICS if name in last}
    groups = {"gan": settings.gan, "classifier": settings.classifier, "joint": settings.joint}
    log_outcome(trainer.loggers, result, groups, metrics)


def gan_datamodule(settings: Settings, data: PreparedData, places: np.ndarray, steps: int) -> ImageDataModule:
    """Return the training images at `places`, in `steps` batches an epoch."""
    return ImageDataModule(
        data,
        image_size=settings.gan.image_size,
        batch_size=settings.gan.batch_size,
        seed=settings.seed,
        train_indices=places,
        steps_per_epoch=steps,
    )


def chosen_checkpoint(gan: GeneratorConfig, folder: Path) -> Path:
    """Return the checkpoint whose generator makes the images.

    With gan.checkpoint=best_kid it is the last one if the training was ended before KID could choose an epoch.
    """
    best = folder / BEST_CHECKPOINT
    return best if gan.checkpoint == "best_kid" and best.is_file() else folder / LAST_CHECKPOINT


def _build_kid_callbacks(
    settings: Settings, data: PreparedData, classes: list[str], training: Training
) -> list[lightning.Callback]:
    """Return the callbacks of gan.kid_every, which measure KID and keep the best generator, or none.

    With gan.transition it is the best of those that know the classes, at the end of the transition and after it.
    """
    if settings.gan.kid_every is None:
        return []
    reference = get_or_train_reference_classifier(settings.audit_settings, data)
    extractor = build_feature_extractor(settings.audit_settings, reference)
    distance = KIDToValidation(settings.gan, data, extractor, classes)
    transition = settings.gan.transition if isinstance(settings.gan, GANConfig) else None
    epochs = settings.trainer.limit_epochs(training.epochs)
    first_epoch = 1 if transition is None else math.ceil(transition[1] * epochs) + 1
    return [TrackKID(distance, settings.gan.kid_every), BestCheckpoint(training.folder, "gan/kid", "min", first_epoch)]


def count_real(data: PreparedData, places: np.ndarray) -> dict[str, int]:
    """Return {class: training images} of those at `places`, without repeats."""
    names, counts = np.unique(data.split.labels("train")[np.unique(places)], return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def build_gan(settings: Settings, data: PreparedData, classes: list[str]) -> lightning.LightningModule:
    """Build an untrained generator of the classes."""
    conditional = settings.gan.conditional
    return build_generator(
        settings.gan,
        channels=data.source.channels,
        classes=classes if conditional else None,
        provenance={
            "class": None if conditional else classes[0],
            "split_hash": data.split.hash,
            "stored_channels": data.source.stored_channels,
            "seed": settings.seed,
        },
    )
