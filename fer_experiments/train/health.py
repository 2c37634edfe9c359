"""A finished GAN's health: alarms in the log and, with what they were judged by, in health.json."""

import json
import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fer_experiments.data.module import ImageData, Images
from fer_experiments.gan import GANConfig
from fer_experiments.gan.health import OF_A_GAN, Health, Keys, examine
from fer_experiments.gan.sampling import TrainedGenerator
from fer_experiments.train.ranks import on_first
from fer_experiments.whole import whole

log = logging.getLogger(__name__)
FILE = "health.json"
EXAMINED = 128  # images of each class


@on_first
def write_health(
    settings: GANConfig,
    data: ImageData,
    trained: TrainedGenerator,
    history: list[dict[str, float]],
    steps: int,
    folder: Path,
    keys: Keys = OF_A_GAN,
) -> Health:
    """Examine samples of every class against its training images; steps: batches in all."""
    health = examine(
        {label: _tensor(trained.sample(range(EXAMINED), label)) for label in trained.classes},
        {label: real_images(data, label, settings.image_size) for label in trained.classes},
        history,
        steps=steps,
        loss=settings.loss,
        policy=settings.diffaugment,
        keys=keys,
    )
    for alarm in health.alarms:
        log.warning("GAN of %s: %s: %s", ", ".join(trained.classes), alarm.name, alarm.message)
    with whole(folder / FILE) as temporary:
        temporary.write_text(json.dumps(asdict(health), indent=1))
    return health


def real_images(data: ImageData, label: str, size: int) -> Tensor:
    """Up to EXAMINED training images of a class, (N, C, S, S) uint8 as the GAN sees them."""
    # Rows are sorted by content hash, so the first are as good as drawn.
    rows = data.split.rows("train")[data.split.labels("train") == label][:EXAMINED]
    images = Images(data.cache.images, rows, np.zeros(len(rows), dtype=np.int64), size, data.source.bottleneck)
    return images[list(range(len(rows)))][0]


def _tensor(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)
