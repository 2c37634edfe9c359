"""balance=mixup, balance=remix"""

from typing import Annotated

import numpy as np
from pydantic import Field

from fer_experiments.augment import Mixing
from fer_experiments.balance.strategy import Plan, Strategy, all_of, class_counts

Alpha = Annotated[float, Field(gt=0.0)]


class Mixup(Strategy):
    """Pairs of images and of their labels are mixed (Zhang et al. 2018). It stands in for the recipe's own mixup."""

    alpha: Alpha

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        return Plan(all_of(labels), mixing=Mixing(self.alpha))


class Remix(Strategy):
    """Mixup that gives the whole label to the much smaller class of a pair (Chou et al. 2020, equation 4).

    It takes the label where the other class is kappa or more times as large and has a share of less than tau in the
    image. It stands in for the recipe's own mixup.
    """

    alpha: Alpha
    kappa: Annotated[float, Field(gt=1.0)]
    tau: Annotated[float, Field(ge=0.0, le=1.0)]

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        return Plan(all_of(labels), mixing=Mixing(self.alpha, class_counts(labels).float(), self.kappa, self.tau))
