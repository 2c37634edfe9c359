"""balance=ldam_drw"""

from typing import Annotated

import numpy as np
from pydantic import Field

from fer_experiments.balance.losses import Margin
from fer_experiments.balance.objective import Objective
from fer_experiments.balance.strategy import Plan, Strategy, all_of, class_counts
from fer_experiments.balance.weighting import Beta, Defer, effective_weights


class LDAM(Strategy):
    """The label-distribution-aware margin loss with deferred re-weighting (Cao et al. 2019, equations 12 and 13).

    Margins m_c ~ n_c^(-1/4), the largest max_margin, are taken from the true class's cosine; the last layer gives
    cosines times `scale`. Class-balanced weights of `beta` count from the share `defer` of training on.
    """

    max_margin: Annotated[float, Field(gt=0.0, le=1.0)]
    scale: Annotated[float, Field(gt=0.0)]
    beta: Beta
    defer: Defer

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        counts = class_counts(labels)
        margins = self.max_margin * (counts.min() / counts).pow(0.25)
        objective = Objective(Margin(self.scale * margins.float()), effective_weights(counts, self.beta), self.defer)
        return Plan(all_of(labels), objective=objective, cosine_head=self.scale)
