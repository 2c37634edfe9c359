"""train=dcgan: train the GAN, on one class or on all, and write the images that balance needs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from fer_experiments.balance import Strategy
from fer_experiments.data.leak import leak_to_gan
from fer_experiments.data.module import ImageData
from fer_experiments.data.synthetic import is_complete
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.gan.sampling import TrainedGenerator
from fer_experiments.train.audit import audit_generated
from fer_experiments.train.draw import Rejection, draw_images
from fer_experiments.train.gan_training import chosen_checkpoint, fit_gan, name_of, trained_classes
from fer_experiments.train.job import Job
from fer_experiments.train.judge import find_judge
from fer_experiments.train.ranks import on_first
from fer_experiments.train.record import write_data
from fer_experiments.train.resume import finished
from fer_experiments.train.scores import ImageScorer
from fer_experiments.train.search import nearness
from fer_experiments.train.shared_gan import gan_fingerprint, share_gan

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
    """Train the GAN or find it trained, and write images of it, needed = {class: number}; their folder is returned.

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
    classes = trained_classes(config, data, needed)
    training = gan_fingerprint(config, data, classes)
    result = finished(folder, training) or share_gan(
        config, training, name_of(classes), folder, lambda: fit_gan(config, data, clean, classes, training, folder)
    )
    if result.generated and is_complete(folder / "synthetic"):
        log.info("the GAN in %s is trained and its images are written already", folder)
        return folder / "synthetic"
    trained = TrainedGenerator.load(chosen_checkpoint(config.gan, folder))
    written = write_images(config, data, trained, needed, folder, reject)
    _say_written(name_of(classes), written, folder)
    on_first(result.model_copy(update={"generated": written}).save)(folder)
    return folder / "synthetic"


@on_first
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
