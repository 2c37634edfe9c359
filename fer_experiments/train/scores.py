"""A score for each generated image, by which it can be rejected: is it a copy, of another class, unlike real ones?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fer_experiments.classifier.judge import Judge
from fer_experiments.data.module import ImageData
from fer_experiments.evaluation.nearest import FEWEST_HELD_OUT, References, low_quantile, nearest
from fer_experiments.evaluation.prdc import NEIGHBOURS, ball_radii
from fer_experiments.train.facts import GENERATED, HELD_OUT, TRAIN, ClassImages

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

FLAGS = {"memorised": "nearest_distance", "off_class": "label_probability", "low_quality": "realism"}


def score_images(config: Config, data: ImageData, judge: Judge, images: np.ndarray, label: str) -> pd.DataFrame:
    """images (N, S, S, C) uint8 that are meant to be of class `label` -> ImageScorer's table. Of several batches of one
    class, keep an ImageScorer: it looks at the real images once.
    """
    return ImageScorer(config, data, judge, label)(images)


class ImageScorer:
    """Scores generated images of one class. Thresholds are such that 5 % of real held-out images lie below each.

    They are the class's own held-out (validation) images; where these are under 20, those of all classes, each held
    against its own class. `thresholds` is {column: number}, None where even those are too few; `calibrated_on` says
    on how many images of what.
    """

    def __init__(self, config: Config, data: ImageData, judge: Judge, label: str) -> None:
        self.data, self.label = data, label
        self._reference = _Reference(config, data, judge, label)
        held_out = self._reference.scores(HELD_OUT)
        self.calibrated_on = f"{len(held_out)} held-out images of {label}"
        if len(held_out) < FEWEST_HELD_OUT:
            others = [_Reference(config, data, judge, name) for name in data.classes if name != label]
            held_out = pd.concat([held_out, *(other.scores(HELD_OUT) for other in others)])
            self.calibrated_on = f"{len(held_out)} held-out images of all classes"
        self.thresholds = {column: _threshold(held_out[column]) for column in FLAGS.values()}

    def __call__(self, images: np.ndarray) -> pd.DataFrame:
        """images (N, S, S, C) uint8 -> a row each, in order:

        nearest_distance, in [0, 2], to the nearest training image or its mirror, in pixels (evaluation/nearest.py);
        label_probability, in [0, 1], that the judge gives the class; realism, above 0, large for images that lie
        within the training images' features (Kynkaanniemi et al. 2019, section 5). And booleans: memorised, off_class
        and low_quality, where these lie below their threshold.
        """
        scores = self._reference.scores(GENERATED, images)
        for flag, column in FLAGS.items():
            threshold = self.thresholds[column]
            scores[flag] = False if threshold is None else scores[column] < threshold
        return scores


@dataclass(frozen=True)
class _Reference:
    """The training images of a class, and what is held against them."""

    config: Config
    data: ImageData
    judge: Judge
    label: str

    def scores(self, part: str, generated: np.ndarray | None = None) -> pd.DataFrame:
        """FLAGS' columns for each image of a part."""
        images = self._images(generated)
        size = self.judge.image_size
        features = images.see(part, size, self.judge.features)
        probabilities = images.see(part, size, self.judge.probabilities)[:, self.judge.classes.index(self.label)]
        distances, _ = nearest(images.pixels(part, self.config.classifier.image_size).plain, self._pixels)
        values = {"nearest_distance": distances, "label_probability": probabilities}
        values["realism"] = realism(features.double(), self._features)
        return pd.DataFrame({name: found.double().numpy() for name, found in values.items()})

    def _images(self, generated: np.ndarray | None = None) -> ClassImages:
        none = np.empty((0, *self.data.cache.images.shape[1:]), dtype=np.uint8)
        return ClassImages(self.data, self.label, none if generated is None else generated)

    @cached_property
    def _pixels(self) -> References:
        return self._images().training_pixels(self.config.classifier.image_size)

    @cached_property
    def _features(self) -> Tensor:
        return self._images().see(TRAIN, self.judge.image_size, self.judge.features).double()


def realism(features: Tensor, real: Tensor) -> Tensor:
    """(N, D), (M, D) -> (N,): the largest ratio of a real image's ball radius to the distance from it; NaN for M of 1.

    Equation 3 of Kynkaanniemi et al. 2019: of the balls that reach to the k-th neighbour, the smaller half.
    """
    if len(real) < 2:
        return torch.full((len(features),), torch.nan, dtype=torch.float64)
    radii = ball_radii(real, min(NEIGHBOURS, len(real) - 1))
    kept = radii <= radii.median()
    distances = torch.cdist(features, real[kept]).clamp(min=1e-12)
    return (radii[kept] / distances).max(1).values


def _threshold(values: pd.Series) -> float | None:
    known = torch.from_numpy(values.dropna().to_numpy(copy=True))
    return low_quantile(known) if len(known) >= FEWEST_HELD_OUT else None
