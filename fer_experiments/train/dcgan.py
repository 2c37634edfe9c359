"""train=dcgan: train the GAN, on one class or on all, and write the images that balance needs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import lightning
import numpy as np

from fer_experiments.balance import Strategy
from fer_experiments.balance.sampling import repeat
from fer_experiments.data.leak import leak_to_gan
from fer_experiments.data.module import ImageData, ImageDataModule
from fer_experiments.data.synthetic import is_complete
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.gan import GANConfig
from fer_experiments.gan.module import DCGAN
from fer_experiments.gan.pictures import SampleGrid
from fer_experiments.gan.sampling import TrainedGenerator
from fer_experiments.report.tensorboard import write_hyperparameters
from fer_experiments.train.audit import audit_generated
from fer_experiments.train.draw import Rejection, draw_images
from fer_experiments.train.follow import Distance, FollowDistance
from fer_experiments.train.health import write_health
from fer_experiments.train.job import Job
from fer_experiments.train.judge import eye_of, find_judge
from fer_experiments.train.record import device_name, write_data
from fer_experiments.train.resume import Resume, fingerprint, finished
from fer_experiments.train.scores import ImageScorer
from fer_experiments.train.search import nearness

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

log = logging.getLogger(__name__)
WITHOUT_NEED = 64  # images of a class that balance asks for none of


class TrainDCGAN(Job):
    def run(self, config: Config, folder: Path) -> None:
        data = ImageData.prepare(config.data, config.seed)
        needed = wanted_images(config, data)
        write_data(folder, data, needed)
        reject = Rejection.of([config.balance])
        synthetic = train_gan(config, data, needed, folder, reject=reject)
        for label, count in needed.items():
            there = folder / label if len(needed) > 1 else folder
            audit_generated(config, data, label, count, synthetic, there, reject.every)

    def check_search(self, config: Config) -> None:
        if config.gan.kid_every is None or config.gan.checkpoint is not None:
            raise ConfigError(
                f"hydra/sweeper: train=dcgan has nothing to maximise with gan.kid_every={config.gan.kid_every} and "
                f"gan.checkpoint={config.gan.checkpoint}; use gan.kid_every=25, for the distance from validation "
                "images, and gan.checkpoint=null, or train=cnn"
            )

    def objective(self, folder: Path) -> float:
        return nearness(Result.load(folder))


def wanted_images(config: Config, data: ImageData) -> dict[str, int]:
    """{class: images that train=dcgan writes}: what balance needs of the class, or of all for a conditional GAN."""
    needed = images_needed(config.balance, data, config.seed)
    if config.gan.conditional:
        return needed or dict.fromkeys(data.classes, WITHOUT_NEED)
    label = target_class(config, data)
    if label not in needed:
        log.info("balance asks for no images of %s; %d are written", label, WITHOUT_NEED)
    return {label: needed.get(label, WITHOUT_NEED)}


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


def train_gan(
    config: Config,
    data: ImageData,
    needed: dict[str, int],
    folder: Path,
    leak: bool = False,
    reject: Rejection = Rejection(),  # noqa: B008
) -> Path:
    """Train the GAN and write images of it, needed = {class: number}; the folder synthetic/ is returned.

    A conditional GAN is trained on all training images, another on those of the one class that is needed. leak: on the
    test images as well, in as many steps. With gan.checkpoint that GAN's images are written, nothing is trained, and
    there is no result.json. What an earlier start of this training left in `folder` is gone on from.
    """
    clean = data
    if leak:
        data = leak_to_gan(data)
    if config.gan.checkpoint is not None:
        trained = _load_checkpoint(config.gan.checkpoint, data, needed)
        written = write_images(config, data, trained, needed, folder, reject)
        _say_written(f"{config.gan.checkpoint} (not trained here)", written, folder)
        return folder / "synthetic"
    settings = config.gan
    training = gan_fingerprint(config, data, needed, reject)
    if finished(folder, training) and is_complete(folder / "synthetic"):
        log.info("the GAN in %s is trained already", folder)
        return folder / "synthetic"
    resume = Resume(folder, settings.checkpoint_every, training)
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    classes = trained_classes(config, data, needed)
    steps = -(-len(training_places(settings, clean, classes)) // settings.batch_size)
    places = training_places(settings, data, classes)
    images = gan_images(config, data, places, steps)
    model = build_gan(config, data, classes)
    pictures = SampleGrid(folder / "samples", settings.picture_epochs, config.data.stored_channels)
    what = f"GAN of {', '.join(classes)}"
    follow = follow_distance(config, data, classes, folder)
    callbacks = [pictures, *follow, resume]
    trainer = config.trainer.build(what, settings.epochs_of(steps), folder, callbacks, validate=False)
    real = count_real(data, places)
    log.info("%s: %d images, %d epochs", what, sum(real.values()), trainer.max_epochs or 0)
    resume.fit(trainer, model, images)
    last = (resume.file, trainer.current_epoch)
    chosen, epoch = last if settings.select == "last" else (follow[0].file, follow[0].epoch)
    trained = TrainedGenerator.load(chosen)
    written = write_images(config, data, trained, needed, folder, reject)
    _say_written(what, written, folder)
    health = write_health(settings, data, trained, model.history, trainer.global_step // 2, folder)
    result = Result(
        job="dcgan",
        arm="gan",
        seed=config.seed,
        classes=list(data.classes),
        real=real,
        generated=written,
        repeated={},
        optimizer_steps=trainer.global_step,
        selected_epoch=epoch,
        metrics={},
        history=model.history,
        split_hash=data.split.clean_hash,
        protocol="leak" if leak else "clean",
        training=training,
        seconds=resume.seconds,
        device=device_name(trainer),
        precision=config.trainer.arithmetic(trainer.strategy.root_device),
    )
    shown = {name.removeprefix("gan/"): value for name, value in model.history[-1].items() if name.startswith("gan/")}
    assert trainer.logger is not None
    diversities = {f"gan/{name}": value for name, value in health.values.items() if name.startswith("diversity")}
    trainer.logger.log_metrics(diversities, step=trainer.global_step // 2)
    write_hyperparameters(trainer.logger, result, settings.model_dump(), shown)
    result.save(folder)
    return folder / "synthetic"


def gan_fingerprint(config: Config, data: ImageData, needed: dict[str, int], reject: Rejection) -> str:
    """Of a training and of its images; the judge chooses among epochs and images."""
    facts = {"gan": config.gan.model_dump(), "judge": config.judge.model_dump(), "size": config.classifier.image_size}
    return fingerprint(config, data, **facts, needed=needed, reject=[reject.some, reject.every])


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


def follow_distance(config: Config, data: ImageData, classes: list[str], folder: Path) -> list[FollowDistance]:
    """The callback of gan.kid_every, or none."""
    if config.gan.kid_every is None:
        return []
    distance = Distance(config, data, eye_of(config, find_judge(config, data)), classes)
    return [FollowDistance(distance, config.gan.kid_every, folder / "checkpoints" / "best.ckpt")]


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


def write_images(
    config: Config, data: ImageData, trained: TrainedGenerator, needed: dict[str, int], folder: Path, reject: Rejection
) -> dict[str, int]:
    """Write what is needed of each class into folder/synthetic; {class: images accepted}."""
    judge = find_judge(config, data) if reject.some else None
    scorer = None if judge is None else lambda label: ImageScorer(config, data, judge, label)
    return draw_images(trained, needed, folder / "synthetic", reject, scorer)


def _load_checkpoint(path: Path, data: ImageData, needed: dict[str, int]) -> TrainedGenerator:
    """A GAN trained elsewhere. Raises ConfigError where it is not of these classes, data and split."""
    where = f"gan.checkpoint={path}"
    try:
        trained = TrainedGenerator.load(path)
    except ConfigError as error:
        raise ConfigError(f"gan.checkpoint={error}") from None
    lacking = ", ".join(sorted(set(needed) - set(trained.classes)))
    if lacking:
        serves = "one class" if len(trained.classes) == 1 else "its classes"
        raise ConfigError(
            f"{where}: makes images of {', '.join(trained.classes)}, but {lacking} is needed; one checkpoint serves "
            f"{serves}. Give one of {lacking}, or train with gan.checkpoint=null"
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
    return trained


def _say_written(what: str, written: dict[str, int], folder: Path) -> None:
    listed = ", ".join(f"{count} of {label}" for label, count in written.items())
    log.info("%s: images written to %s: %s", what, folder / "synthetic", listed)


def build_gan(config: Config, data: ImageData, classes: list[str]) -> DCGAN:
    settings = config.gan
    return DCGAN(
        latent_dim=settings.latent_dim,
        width=settings.width,
        channels=config.data.channels,
        image_size=settings.image_size,
        discriminator_outputs=settings.discriminator_outputs,
        loss=settings.loss,
        learning_rate=settings.learning_rate,
        discriminator_learning_rate=settings.discriminator_learning_rate,
        betas=settings.betas,
        spectral_norm=settings.regularizer == "spectral_norm",
        r1_gamma=settings.gamma,
        ema=settings.ema,
        diffaugment=settings.diffaugment,
        mirror=settings.mirror,
        classes=classes if settings.conditional else None,
        provenance={
            "class": None if settings.conditional else classes[0],
            "split_hash": data.split.hash,
            "stored_channels": config.data.stored_channels,
            "seed": config.seed,
        },
    )
