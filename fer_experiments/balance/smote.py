"""balance=smote"""

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from fer_experiments.balance.sampling import SamplingStrategy, images_to_add
from fer_experiments.balance.strategy import Plan, Strategy, all_of
from fer_experiments.errors import ConfigError


class Smote(Strategy):
    """SMOTE in pixel space (Chawla et al. 2002): images on the line between an image and one of its nearest neighbours.

    By imbalanced-learn. A class of n images has n - 1 neighbours at most.
    """

    evens: ClassVar[bool] = True
    sampling_strategy: SamplingStrategy
    k_neighbors: Annotated[int, Field(ge=1)]

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        wanted = images_to_add(self.sampling_strategy, labels)
        for name in wanted:
            if (labels == name).sum() < 2:
                raise ConfigError(
                    f"balance=smote: {name} has one training image, and between two is where new ones lie; use "
                    "balance=oversample, or leave the class out with data.classes or balance.sampling_strategy"
                )
        return Plan(all_of(labels), interpolated=wanted)

    def interpolate(self, images: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        wanted = self.plan(labels, seed).interpolated
        made = [self._of_class(images, labels, name, count, seed) for name, count in wanted.items()]
        return np.concatenate(made), np.repeat(list(wanted), list(wanted.values()))

    def _of_class(self, images: np.ndarray, labels: np.ndarray, name: str, count: int, seed: int) -> np.ndarray:
        from imblearn.over_sampling import SMOTE  # over a second, which only this strategy needs

        mine = images[labels == name]
        pixels = np.concatenate([mine, images[labels != name][:1]]).reshape(len(mine) + 1, -1).astype(np.float32)
        is_mine = np.arange(len(pixels)) < len(mine)  # with one of another class: SMOTE refuses a single class
        smote = SMOTE(
            sampling_strategy={True: len(mine) + count},
            k_neighbors=min(self.k_neighbors, len(mine) - 1),
            random_state=seed,
        )
        new = smote.fit_resample(pixels, is_mine)[0][len(pixels) :]
        return new.round().astype(np.uint8).reshape(-1, *images.shape[1:])
