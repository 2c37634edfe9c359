"""Draw images of a trained GAN until as many as are needed have none of the faults in balance.reject."""

import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from fer_experiments.audit.rejection import Rejection
from fer_experiments.data.synthetic import add_to_manifest, write_images
from fer_experiments.gan.trained import TrainedGenerator
from fer_experiments.progress import show_activity

log = logging.getLogger(__name__)
BATCH_SIZE = 64
MAX_DRAWS = 20  # for each image that is needed; after that the GAN is taken to be unable to make more
Score = Callable[[np.ndarray], pd.DataFrame]
"""images (N, S, S, C) uint8 of one class -> a row an image: SCORES and a bool for each of FAULTS."""


def draw_images(
    generator: TrainedGenerator,
    needed: dict[str, int],
    folder: Path,
    rejection: Rejection = Rejection(),  # noqa: B008
    build_scorer: Callable[[str], Score] | None = None,
) -> dict[str, int]:
    """Write images into folder/CLASS, with their rows of the manifest; return {class: images accepted}.

    Args:
        generator: makes the images from the first latent seeds, so that more images contain fewer.
        needed: {class: images}.
        folder: is created if it does not exist.
        rejection: an image with a fault in `by_any` is not accepted; one with a fault in `by_all` has no file.
        build_scorer: class -> Score. Drawing continues until enough images are accepted, or MAX_DRAWS times as many are
            drawn. None: all images are accepted.
    """
    if build_scorer is None:
        generator.write(folder, {label: range(count) for label, count in needed.items()})
        return needed
    return {
        label: _draw_class(generator, label, count, folder, rejection, build_scorer(label))
        for label, count in needed.items()
    }


def _draw_class(
    generator: TrainedGenerator, label: str, count: int, folder: Path, rejection: Rejection, score: Score
) -> int:
    drawn = accepted = 0
    faults: Counter[str] = Counter()
    while accepted < count and drawn < MAX_DRAWS * count:
        seeds = list(range(drawn, drawn + max(BATCH_SIZE, count - accepted)))
        with show_activity(f"generating images of {label}: {accepted} of {count} accepted"):
            images = generator.sample(seeds, label)
            scores = score(images)
            hashes = generator.checkpoint_hash, generator.split_hash
            add_to_manifest(folder, [write_images(folder, label, images, seeds, *hashes, scores, rejection.by_all)])
        drawn += len(seeds)
        accepted += int((~scores[list(rejection.by_any)].any(axis=1)).sum())
        faults.update({fault: int(scores[fault].sum()) for fault in rejection.by_any})
    rejected = ", ".join(f"{number} {fault}" for fault, number in faults.items())
    level = logging.INFO if accepted >= count else logging.WARNING
    log.log(
        level,
        "%s: %d of %d images accepted (%.0f%% rejected: %s); %d are needed",
        label,
        accepted,
        drawn,
        100 * (1 - accepted / drawn),
        rejected,
        count,
    )
    return min(accepted, count)
