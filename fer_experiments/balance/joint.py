"""balance=joint: a GAN that is trained together with the classifier generates images in every step."""

from typing import ClassVar

import numpy as np

from fer_experiments.balance.sampling import SamplingStrategy, repeat_small_classes
from fer_experiments.balance.strategy import Strategy, TrainingPlan, all_indices


class Joint(Strategy):
    """The classifier is trained together with the GAN whose images it sees (conf/joint).

    Real images of the small classes are repeated as sampling_strategy says; if it is null, none is repeated.
    """

    balances_classes: ClassVar[bool] = True
    sampling_strategy: SamplingStrategy | None

    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        if self.sampling_strategy is None:
            return TrainingPlan(all_indices(labels))
        return TrainingPlan(repeat_small_classes(self.sampling_strategy, labels, seed))
