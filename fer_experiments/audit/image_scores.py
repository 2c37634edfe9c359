"""Scores of each generated image, by which it can be rejected: a copy, of another class, or unlike real images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fer_experiments.audit.class_images import GENERATED, TRAIN, VALID, ClassImages
from fer_experiments.audit.reference_classifier import ReferenceClassifier
from fer_experiments.data.prepared import PreparedData
from fer_experiments.evaluation.generated.memorisation import MIN_REAL_IMAGES, low_quantile
from fer_experiments.evaluation.generated.nearest import References, find_nearest
from fer_experiments.evaluation.generated.prdc import NEIGHBOURS, ball_radii

SCORE_OF_FAULT = {"memorised": "nearest_distance", "off_class": "label_probability", "low_quality": "realism"}


class ImageScorer:
    """A scorer of the generated images of one class. An image has a fault if 95% of real images have a higher score.

    The thresholds are the 5% quantiles of the class's validation images. If the class has fewer than 20,
    they are those of the validation images of all classes, each compared with its class.

    Attributes:
        thresholds: {score: number}; None if even those are too few.
        calibrated_on: the images from which the thresholds come, such as "100 validation images of angry".
    """

    def __init__(self, data: PreparedData, reference: ReferenceClassifier, label: str, image_size: int) -> None:
        """Compute the thresholds. image_size: the side at which pixels are compared."""
        self._reference_images = _ReferenceImages(data, reference, label, image_size)
        validation = self._reference_images.scores(VALID)
        self.calibrated_on = f"{len(validation)} validation images of {label}"
        if len(validation) < MIN_REAL_IMAGES:
            rest = [_ReferenceImages(data, reference, name, image_size) for name in data.classes if name != label]
            validation = pd.concat([validation, *(images.scores(VALID) for images in rest)])
            self.calibrated_on = f"{len(validation)} validation images of all classes"
        self.thresholds = {score: _threshold(validation[score]) for score in SCORE_OF_FAULT.values()}

    def __call__(self, images: np.ndarray) -> pd.DataFrame:
        """Return the scores of images (N, S, S, C) uint8, a row for each image in the same order.

        Columns: nearest_distance, in [0, 2], to the nearest training image or its mirror image, in pixels
        (evaluation/generated/nearest.py); label_probability, in [0, 1], that the reference classifier gives the class;
        realism, above 0, large for images within the training images' features (Kynkaanniemi et al. 2019, section 5).
        The columns memorised, off_class and low_quality are true if these scores, in this order, are under their
        thresholds.
        """
        scores = self._reference_images.scores(GENERATED, images)
        for fault, score in SCORE_OF_FAULT.items():
            threshold = self.thresholds[score]
            scores[fault] = False if threshold is None else scores[score] < threshold
        return scores


@dataclass(frozen=True)
class _ReferenceImages:
    """The training images of a class, with which images are compared."""

    data: PreparedData
    reference: ReferenceClassifier
    label: str
    image_size: int

    def scores(self, part: str, generated: np.ndarray | None = None) -> pd.DataFrame:
        """Return the scores of each image of a part."""
        images = self._images(generated)
        size = self.reference.image_size
        features = images.map(part, size, self.reference.features)
        place = self.reference.classes.index(self.label)
        probabilities = images.map(part, size, self.reference.probabilities)[:, place]
        distances, _ = find_nearest(images.pixels(part, self.image_size).plain, self._pixels)
        scores = {"nearest_distance": distances, "label_probability": probabilities}
        scores["realism"] = realism(features.double(), self._features)
        return pd.DataFrame({name: values.double().numpy() for name, values in scores.items()})

    def _images(self, generated: np.ndarray | None = None) -> ClassImages:
        empty = np.empty((0, *self.data.cache.images.shape[1:]), dtype=np.uint8)
        return ClassImages(self.data, self.label, empty if generated is None else generated)

    @cached_property
    def _pixels(self) -> References:
        return self._images().training_pixels(self.image_size)

    @cached_property
    def _features(self) -> Tensor:
        return self._images().map(TRAIN, self.reference.image_size, self.reference.features).double()


def realism(features: Tensor, real: Tensor) -> Tensor:
    """features (N, D), real (M, D) -> (N,): the largest ratio of a real image's ball radius to the distance to it.

    Equation 3 of Kynkaanniemi et al. 2019, over the smaller half of the balls that reach to the k-th neighbour. NaN for
    a single real image.
    """
    if len(real) < 2:
        return torch.full((len(features),), torch.nan, dtype=torch.float64)
    radii = ball_radii(real, min(NEIGHBOURS, len(real) - 1))
    is_small = radii <= radii.median()
    distances = torch.cdist(features, real[is_small]).clamp(min=1e-12)
    return (radii[is_small] / distances).max(1).values


def _threshold(values: pd.Series) -> float | None:
    known = torch.from_numpy(values.dropna().to_numpy(copy=True))
    return low_quantile(known) if len(known) >= MIN_REAL_IMAGES else None
