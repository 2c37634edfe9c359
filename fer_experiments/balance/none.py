"""balance=none: the baseline, every training image once."""

import numpy as np

from fer_experiments.balance.strategy import Strategy, TrainingPlan, all_indices


class NoBalancing(Strategy):
    """The training images are used as they are."""

    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        return TrainingPlan(all_indices(labels))
