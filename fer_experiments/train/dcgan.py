"""train=dcgan: train the GAN, on one class or on all, and write the images that balance needs."""

import logging
from pathlib import Path

from fer_experiments.audit.audit_generated import audit_generated
from fer_experiments.audit.rejection import Rejection
from fer_experiments.data.prepared import PreparedData
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.runs.data_files import write_data_files
from fer_experiments.train.check_training import check_accumulation_of_gan
from fer_experiments.train.gan.generated_images import get_or_train_gan
from fer_experiments.train.job import Job
from fer_experiments.train.settings import Settings
from fer_experiments.train.sweep_objective import negative_kid

log = logging.getLogger(__name__)
DEFAULT_COUNT = 64  # images of a class for which balance needs none


class TrainDCGAN(Job):
    """Train the GAN, write its images and audit them."""

    def check(self, settings: Settings) -> None:
        check_accumulation_of_gan(settings, "train=dcgan")
        if settings.ckpt_path is not None and settings.gan.pretrained is not None:
            raise ConfigError(
                f"ckpt_path={settings.ckpt_path}: with gan.pretrained={settings.gan.pretrained} no GAN is trained; "
                "leave out one of them"
            )

    def run(self, settings: Settings, folder: Path) -> None:
        data = PreparedData.prepare(settings.data, settings.seed)
        needed = choose_images(settings, data)
        write_data_files(folder, data, needed)
        rejection = Rejection.from_strategies([settings.balance])
        synthetic = get_or_train_gan(settings, data, needed, folder, rejection=rejection)
        for label, count in needed.items():
            place = folder / label if len(needed) > 1 else folder
            audit_generated(settings.audit_settings, data, label, count, synthetic, place, rejection.by_all)

    def check_objective(self, settings: Settings) -> None:
        if settings.gan.kid_every is None or settings.gan.pretrained is not None:
            raise ConfigError(
                f"hydra/sweeper: train=dcgan has nothing to maximize with gan.kid_every={settings.gan.kid_every} and "
                f"gan.pretrained={settings.gan.pretrained}; use gan.kid_every=25, for the distance from validation "
                "images, and gan.pretrained=null, or train=cnn"
            )

    def objective(self, folder: Path) -> float:
        return negative_kid(Result.load(folder))


def choose_images(settings: Settings, data: PreparedData) -> dict[str, int]:
    """Return {class: images to write}: what balance needs of the class, or of all classes for a conditional GAN."""
    needed = settings.balance.plan(data.split.labels("train"), settings.seed).generated
    if settings.gan.conditional:
        return needed or dict.fromkeys(data.classes, DEFAULT_COUNT)
    label = choose_target_class(settings, data)
    if label not in needed:
        log.info("balance needs no images of %s; %d are written", label, DEFAULT_COUNT)
    return {label: needed.get(label, DEFAULT_COUNT)}


def choose_target_class(settings: Settings, data: PreparedData) -> str:
    """Return gan.target_class, or the smallest class. Raises ConfigError if there is no such class."""
    if settings.gan.target_class is None:
        counts = data.split.counts("train")
        return min(counts, key=lambda name: counts[name])
    if settings.gan.target_class not in data.classes:
        raise ConfigError(f"gan.target_class={settings.gan.target_class}: is not one of {', '.join(data.classes)}")
    return settings.gan.target_class
