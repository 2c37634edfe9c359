"""train=dcgan: train the GAN on one class and write the images that balance needs."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import lightning
import numpy as np
from lightning.pytorch.callbacks import ModelCheckpoint

from fer_experiments.balance import Strategy
from fer_experiments.data.leak import leak_to_gan
from fer_experiments.data.module import ImageData, ImageDataModule
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.gan.module import DCGAN
from fer_experiments.gan.pictures import SampleGrid
from fer_experiments.gan.sampling import TrainedGenerator
from fer_experiments.report.tensorboard import write_hyperparameters
from fer_experiments.train.audit import audit_generated
from fer_experiments.train.job import Job
from fer_experiments.train.record import device_name, write_data

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

log = logging.getLogger(__name__)


class TrainDCGAN(Job):
    def run(self, config: Config, folder: Path) -> None:
        data = ImageData.prepare(config.data, config.seed)
        needed = images_needed(config.balance, data, config.seed)
        label = target_class(config, data)
        if label not in needed:
            log.info("balance asks for no images of %s; 64 are written", label)
        count = needed.get(label, 64)
        write_data(folder, data, {label: count})
        synthetic = train_gan(config, data, label, count, folder)
        audit_generated(config, data, label, count, synthetic, folder)


def target_class(config: Config, data: ImageData) -> str:
    """gan.target_class, or the smallest class. Raises ConfigError for an unknown one."""
    if config.gan.target_class is None:
        counts = data.split.counts("train")
        return min(counts, key=lambda name: counts[name])
    if config.gan.target_class not in data.classes:
        raise ConfigError(f"gan.target_class={config.gan.target_class}: is not one of {', '.join(data.classes)}")
    return config.gan.target_class


def images_needed(balance: Strategy, data: ImageData, seed: int) -> dict[str, int]:
    """{class: images to generate} under a balancing strategy."""
    return balance.plan(data.split.labels("train"), seed).generated


def train_gan(config: Config, data: ImageData, label: str, count: int, folder: Path, leak: bool = False) -> Path:
    """Train on the training images of one class, write `count` images; the folder synthetic/ is returned.

    leak: on the test images as well, in as many steps. With gan.checkpoint that GAN's images are written, nothing is
    trained, and there is no result.json.
    """
    if config.gan.checkpoint is not None:
        return _use_checkpoint(config.gan.checkpoint, leak_to_gan(data) if leak else data, label, count, folder)
    started = time.monotonic()
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    settings = config.gan
    clean_count = data.split.counts("train")[label]
    if leak:
        data = leak_to_gan(data)
    places = np.flatnonzero(data.split.labels("train") == label)
    images = ImageDataModule(
        data,
        image_size=settings.image_size,
        batch_size=settings.batch_size,
        seed=config.seed,
        train_indices=places,
        steps_per_epoch=-(-clean_count // settings.batch_size),
    )
    model = build_gan(config, data, label)
    checkpoints = ModelCheckpoint(
        folder / "checkpoints",
        filename="last",
        every_n_epochs=settings.checkpoint_every,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    pictures = SampleGrid(folder / "samples", settings.picture_epochs, config.data.stored_channels)
    what = f"GAN of {label}"
    trainer = config.trainer.build(what, settings.epochs, folder, [pictures, checkpoints], validate=False)
    log.info("GAN of %s: %d images, %d epochs", label, len(places), trainer.max_epochs or 0)
    trainer.fit(model, datamodule=images)
    checkpoint = folder / "checkpoints" / "last.ckpt"
    if trainer.current_epoch % settings.checkpoint_every:  # else written already
        trainer.save_checkpoint(checkpoint)

    TrainedGenerator.load(checkpoint).write(folder / "synthetic", range(count))
    log.info("GAN of %s: %d images written to %s", label, count, folder / "synthetic")
    seconds = time.monotonic() - started
    result = Result(
        job="dcgan",
        arm="gan",
        seed=config.seed,
        classes=list(data.classes),
        real={label: len(places)},
        generated={label: count},
        repeated={},
        optimizer_steps=trainer.global_step,
        selected_epoch=trainer.current_epoch,
        metrics={},
        history=model.history,
        split_hash=data.split.clean_hash,
        protocol="leak" if leak else "clean",
        seconds=seconds,
        device=device_name(trainer),
        precision=config.trainer.arithmetic(trainer.strategy.root_device),
    )
    last = {name.removeprefix("gan/"): value for name, value in model.history[-1].items() if name.startswith("gan/")}
    write_hyperparameters(trainer.logger, result, settings.model_dump(), last)
    result.save(folder)
    return folder / "synthetic"


def _use_checkpoint(path: Path, data: ImageData, label: str, count: int, folder: Path) -> Path:
    """Write `count` images of a trained GAN. Raises ConfigError where it is not of this class, data and split."""
    where = f"gan.checkpoint={path}"
    try:
        trained = TrainedGenerator.load(path)
    except ConfigError as error:
        raise ConfigError(f"gan.checkpoint={error}") from None
    if trained.label != label:
        raise ConfigError(
            f"{where}: makes images of {trained.label}, but {label} is needed; one checkpoint serves one class. Give "
            f"one of {label}, or train with gan.checkpoint=null"
        )
    channels = data.source.stored_channels
    if trained.stored_channels != channels:
        raise ConfigError(
            f"{where}: makes images of {trained.stored_channels} channel(s), but these data are read with {channels}; "
            "set data.grey and data.channels as in its run, or train with gan.checkpoint=null"
        )
    if trained.split_hash != data.split.hash:
        raise ConfigError(
            f"{where}: trained on the split {trained.split_hash}, but this run's split is {data.split.hash}; the GAN "
            "may have seen validation or test images. Set the data keys and the seed as in its run (one checkpoint "
            "serves one seed), or train with gan.checkpoint=null"
        )
    trained.write(folder / "synthetic", range(count))
    log.info("GAN of %s: not trained; %d images of %s written to %s", label, count, path, folder / "synthetic")
    return folder / "synthetic"


def build_gan(config: Config, data: ImageData, label: str) -> DCGAN:
    settings = config.gan
    return DCGAN(
        latent_dim=settings.latent_dim,
        width=settings.width,
        channels=config.data.channels,
        image_size=settings.image_size,
        discriminator_outputs=settings.discriminator_outputs,
        loss=settings.loss,
        learning_rate=settings.learning_rate,
        betas=settings.betas,
        provenance={
            "class": label,
            "split_hash": data.split.hash,
            "stored_channels": config.data.stored_channels,
            "seed": config.seed,
        },
    )
