"""balance=fewer_images: a point of the learning curve of the small classes."""

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from fer_experiments.balance.sampling import SamplingStrategy, count_images_to_add
from fer_experiments.balance.strategy import Strategy, TrainingPlan
from fer_experiments.random_streams import RandomStream


class FewerImages(Strategy):
    """The small classes keep a fraction of their images, each repeated, so that the classes stay as frequent.

    The images of a smaller fraction are among those of a larger one. sampling_strategy names the small classes: those
    that it would fill.
    """

    keeps_all_images: ClassVar[bool] = False
    is_control: ClassVar[bool] = True
    sampling_strategy: SamplingStrategy
    fraction: Annotated[float, Field(gt=0.0, le=1.0)]

    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        rng = np.random.default_rng([seed, RandomStream.RESAMPLING])
        indices = np.arange(len(labels))
        for name in sorted(count_images_to_add(self.sampling_strategy, labels)):
            members = np.flatnonzero(labels == name)
            kept = rng.permutation(members)[: max(1, round(self.fraction * len(members)))]
            indices[members] = np.resize(kept, len(members))
        return TrainingPlan(np.sort(indices))
