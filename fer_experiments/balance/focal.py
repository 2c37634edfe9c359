"""balance=focal: a loss in which well-classified images count less."""

from typing import Annotated

import numpy as np
from pydantic import Field

from fer_experiments.balance.strategy import Strategy, TrainingPlan, all_indices


class FocalLoss(Strategy):
    """The focal loss (Lin et al. 2017), which favours hard images, not small classes. gamma = 0 is cross-entropy."""

    gamma: Annotated[float, Field(ge=0.0)]

    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        from fer_experiments.balance.losses import Focal
        from fer_experiments.balance.objective import Objective

        return TrainingPlan(all_indices(labels), objective=Objective(Focal(self.gamma)))
