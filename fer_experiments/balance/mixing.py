"""balance=mixup, balance=remix: images of a batch are mixed in pairs."""

from typing import Annotated

import numpy as np
from pydantic import Field

from fer_experiments.balance.strategy import Strategy, TrainingPlan, all_indices, count_images_per_class

Alpha = Annotated[float, Field(gt=0.0)]


class Mixup(Strategy):
    """Mixup of pairs of images and of their labels (Zhang et al. 2018). It replaces classifier.mixup."""

    alpha: Alpha

    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        from fer_experiments.augment.mixing import Mixing

        return TrainingPlan(all_indices(labels), mixing=Mixing(self.alpha))


class Remix(Strategy):
    """Mixup that may give the whole label to the much smaller class of a pair (Chou et al. 2020, equation 4).

    It does so if the larger class has at least kappa times as many images and less than tau of the mixed image. It
    replaces classifier.mixup.
    """

    alpha: Alpha
    kappa: Annotated[float, Field(gt=1.0)]
    tau: Annotated[float, Field(ge=0.0, le=1.0)]

    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        from fer_experiments.augment.mixing import Mixing

        return TrainingPlan(
            all_indices(labels), mixing=Mixing(self.alpha, count_images_per_class(labels), self.kappa, self.tau)
        )
