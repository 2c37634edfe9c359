"""Draw images of a trained GAN until as many as are wanted pass what balance.reject asks."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fer_experiments.balance import Generate, Strategy
from fer_experiments.data.synthetic import FAULTS, write_synthetic
from fer_experiments.gan.sampling import TrainedGenerator
from fer_experiments.progress import busy

log = logging.getLogger(__name__)
AT_ONCE = 64
MOST_DRAWS = 20  # for each image that is wanted; then the GAN can't
Score = Callable[[np.ndarray], pd.DataFrame]
"""images (N, S, S, C) uint8 of one class -> a row an image: SCORES and a bool for each of FAULTS."""


@dataclass(frozen=True)
class Rejection:
    """Faults for which `some` strategy that shares a GAN's images drops one, and for which `every` one does."""

    some: tuple[str, ...] = ()
    every: tuple[str, ...] = ()

    @classmethod
    def of(cls, strategies: Iterable[Strategy]) -> Rejection:
        asked = [set(strategy.reject) for strategy in strategies if isinstance(strategy, Generate)]
        some, every = set().union(*asked), set.intersection(*asked) if asked else set()
        return cls(*(tuple(fault for fault in FAULTS if fault in chosen) for chosen in (some, every)))


def draw_images(
    trained: TrainedGenerator,
    needed: dict[str, int],
    folder: Path,
    rejection: Rejection,
    scorer: Callable[[str], Score] | None,
) -> dict[str, int]:
    """Write needed = {class: images} into folder/CLASS and its manifest; {class: images accepted} is returned.

    The first latent seeds, so that more images contain fewer. With `scorer`, class -> Score, drawing goes on until
    enough have no fault that `some` strategy drops, or MOST_DRAWS times as many were drawn; what `every` strategy drops
    has no file. Without, all are accepted.
    """
    if scorer is None:
        for label, count in needed.items():
            trained.write(folder, range(count), label)
        return needed
    return {label: _draw(trained, label, count, folder, rejection, scorer(label)) for label, count in needed.items()}


def _draw(trained: TrainedGenerator, label: str, count: int, folder: Path, rejection: Rejection, score: Score) -> int:
    drawn = accepted = 0
    faults: Counter[str] = Counter()
    while accepted < count and drawn < MOST_DRAWS * count:
        seeds = list(range(drawn, drawn + max(AT_ONCE, count - accepted)))
        with busy(f"making images of {label}: {accepted} of {count} accepted"):
            images = trained.sample(seeds, label)
            scores = score(images)
            split, checkpoint = trained.split_hash, trained.checkpoint_hash
            write_synthetic(folder, label, images, seeds, checkpoint, split, scores, rejection.every)
        drawn += len(seeds)
        accepted += int((~scores[list(rejection.some)].any(axis=1)).sum())
        faults.update({fault: int(scores[fault].sum()) for fault in rejection.some})
    found = ", ".join(f"{number} {fault}" for fault, number in faults.items())
    level = logging.INFO if accepted >= count else logging.WARNING
    log.log(level, "%s: %d of %d images accepted (%.0f%% rejected: %s); %d are needed",
            label, accepted, drawn, 100 * (1 - accepted / drawn), found, count)  # fmt: skip
    return min(accepted, count)
