"""A GAN by itself: its data, its training, its images and their audit."""

import logging
from pathlib import Path

from fer_experiments.audit.audit_generated import audit_generated
from fer_experiments.audit.rejection import Rejection
from fer_experiments.data.prepared import PreparedData
from fer_experiments.errors import ConfigError
from fer_experiments.runs.data_files import write_data_files
from fer_experiments.train.gan.generated_images import get_or_train_gan
from fer_experiments.train.settings import Settings

log = logging.getLogger(__name__)
DEFAULT_COUNT = 64  # images of a class for which balance needs none


def run_gan(settings: Settings, folder: Path) -> None:
    """Train the GAN, write its images and audit them."""
    data = PreparedData.prepare(settings.data, settings.seed)
    needed = choose_images(settings, data)
    write_data_files(folder, data, needed)
    rejection = Rejection.from_strategies([settings.balance])
    synthetic = get_or_train_gan(settings, data, needed, folder, rejection=rejection)
    for label, count in needed.items():
        place = folder / label if len(needed) > 1 else folder
        audit_generated(settings.audit_settings, data, label, count, synthetic, place, rejection.by_all)


def choose_images(settings: Settings, data: PreparedData) -> dict[str, int]:
    """Return {class: images to write}: what balance needs of the class, or of all classes for a conditional GAN."""
    needed = settings.balance.count_generated(data.split.labels("train"), settings.seed)
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
