"""A GAN by itself: its data, its training, its images and their audit."""

from pathlib import Path

from fer_experiments.audit.audit_generated import audit_generated
from fer_experiments.audit.rejection import Rejection
from fer_experiments.data.prepared import PreparedData
from fer_experiments.runs.data_files import write_data_files
from fer_experiments.train.gan.generated_images import get_or_train_gan
from fer_experiments.train.gan.selection import choose_images
from fer_experiments.train.settings import Settings


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
