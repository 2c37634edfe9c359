"""balance=smote: images interpolated between neighbours of a class."""

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from fer_experiments.balance.sampling import SamplingStrategy, count_images_to_add
from fer_experiments.balance.strategy import Strategy, TrainingPlan, all_indices
from fer_experiments.data.injection import INTERPOLATED, Injection
from fer_experiments.errors import ConfigError


class Smote(Strategy):
    """SMOTE in pixel space (Chawla et al. 2002), with imbalanced-learn.

    New images of the small classes lie on the line between an image and one of its k nearest neighbours in the class.
    For a class of n images k is at most n - 1.
    """

    balances_classes: ClassVar[bool] = True
    sampling_strategy: SamplingStrategy
    k_neighbors: Annotated[int, Field(ge=1)]

    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        numbers = count_images_to_add(self.sampling_strategy, labels)
        for name in numbers:
            if (labels == name).sum() < 2:
                raise ConfigError(
                    f"balance=smote: {name} has one training image, but SMOTE interpolates between two; use "
                    "balance=oversample, or leave the class out with data.classes or balance.sampling_strategy"
                )
        return TrainingPlan(all_indices(labels), added=numbers, injection=Injection(INTERPOLATED))

    def interpolate(self, images: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        numbers = self.plan(labels, seed).added
        parts = [self._interpolate_class(images, labels == name, number, seed) for name, number in numbers.items()]
        return np.concatenate(parts), np.repeat(list(numbers), list(numbers.values()))

    def _interpolate_class(self, images: np.ndarray, is_member: np.ndarray, number: int, seed: int) -> np.ndarray:
        """Return `number` new images (M, S, S, C) uint8 of the class whose images `is_member` (N,) marks."""
        from imblearn.over_sampling import SMOTE  # takes over a second, and only this strategy needs it

        count = int(is_member.sum())
        # SMOTE refuses data of a single class, so one image of another class goes with them.
        places = [*np.flatnonzero(is_member), np.flatnonzero(~is_member)[0]]
        pixels = images[places].reshape(count + 1, -1).astype(np.float32)
        smote = SMOTE(
            sampling_strategy={True: count + number},
            k_neighbors=min(self.k_neighbors, count - 1),
            random_state=seed,
        )
        new = smote.fit_resample(pixels, np.arange(count + 1) < count)[0][count + 1 :]
        return new.round().astype(np.uint8).reshape(-1, *images.shape[1:])
