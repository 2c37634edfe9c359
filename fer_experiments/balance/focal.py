"""balance=focal"""

from typing import Annotated

import numpy as np
from pydantic import Field

from fer_experiments.balance.losses import Focal
from fer_experiments.balance.objective import Objective
from fer_experiments.balance.strategy import Plan, Strategy, all_of


class FocalLoss(Strategy):
    """The focal loss (Lin et al. 2017), which knows hard images rather than small classes. gamma 0: cross-entropy."""

    gamma: Annotated[float, Field(ge=0.0)]

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        return Plan(all_of(labels), objective=Objective(Focal(self.gamma)))
