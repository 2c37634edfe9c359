"""The health of a finished GAN: alarms in the log and, with the values that raised them, in health.json."""

import json
import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fer_experiments.atomic_write import atomic_write
from fer_experiments.data.dataset import ImageDataset
from fer_experiments.data.prepared import PreparedData
from fer_experiments.distributed import on_rank_zero
from fer_experiments.enumeration import enumerate_names
from fer_experiments.gan import GANConfig, GeneratorConfig
from fer_experiments.gan.health import GAN_ADVICE, Advice, Health, examine_gan
from fer_experiments.gan.trained import TrainedGenerator
from fer_experiments.report.gan_files import HEALTH_FILE

log = logging.getLogger(__name__)
EXAMINED_IMAGES = 128  # of each class


@on_rank_zero
def write_health(
    gan: GeneratorConfig,
    data: PreparedData,
    generator: TrainedGenerator,
    history: list[dict[str, float]],
    steps: int,
    folder: Path,
    advice: Advice = GAN_ADVICE,
) -> Health:
    """Examine samples of every class, compared with its training images, and the history of the training.

    Args:
        gan: the configuration of the generator.
        data: its training images.
        generator: makes the samples.
        history: the rows of the training.
        steps: how many batches the training had.
        folder: where health.json is written.
        advice: which keys an alarm advises to change.
    """
    samples = (
        (
            label,
            _to_tensor(generator.sample(range(EXAMINED_IMAGES), label)),
            load_training_images(data, label, gan.image_size),
        )
        for label in generator.classes
    )
    health = examine_gan(
        samples,
        history,
        steps=steps,
        loss=gan.loss if isinstance(gan, GANConfig) else None,
        policy=gan.diffaugment if isinstance(gan, GANConfig) else None,
        advice=advice,
    )
    for alarm in health.alarms:
        log.warning("%s of %s: %s: %s", gan.noun, enumerate_names(generator.classes), alarm.name, alarm.message)
    with atomic_write(folder / HEALTH_FILE) as temporary:
        temporary.write_text(json.dumps(asdict(health), indent=1))
    return health


def load_training_images(data: PreparedData, label: str, size: int) -> Tensor:
    """Return up to EXAMINED_IMAGES training images of a class, (N, C, S, S) uint8 as the GAN sees them.

    The rows of a split are sorted by content hash, so that the first images are as good as drawn ones.
    """
    rows = data.split.rows("train")[data.split.labels("train") == label][:EXAMINED_IMAGES]
    labels = np.zeros(len(rows), dtype=np.int64)
    images = ImageDataset(data.cache.images, rows, labels, size, data.source.bottleneck)
    return images[list(range(len(rows)))][0]


def _to_tensor(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)
