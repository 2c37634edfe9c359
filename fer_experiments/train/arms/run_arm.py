"""One arm by itself: its data, its GAN if it needs one, its classifier."""

import logging
from pathlib import Path

from fer_experiments.data.prepared import PreparedData
from fer_experiments.runs.data_files import write_data_files
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.arms.audit_arms import audit_arms
from fer_experiments.train.arms.train_classifier import describe_result, train_classifier
from fer_experiments.train.arms.training_images import get_or_make_generated_images
from fer_experiments.train.gan.selection import count_generated_images
from fer_experiments.train.settings import Settings

log = logging.getLogger(__name__)


def run_arm(settings: Settings, arm: Arm, folder: Path) -> None:
    """Train the classifier of the arm, and log its result."""
    data = PreparedData.prepare(settings.data, settings.seed)
    write_data_files(folder, data, count_generated_images(settings, data, [arm]))
    settings = settings.with_gan(arm.gan)
    gan_settings = settings.model_copy(update={"ckpt_path": None})  # which is the classifier's
    synthetic = get_or_make_generated_images(gan_settings, data, arm, folder / arm.gan_folder)
    audit_arms(settings, data, {folder: arm}, synthetic)
    result = train_classifier(settings, data, arm, synthetic, folder)
    log.info("%s", describe_result(result))
