"""balance=ldam_drw: larger margins for smaller classes, and weights late in the training."""

from typing import Annotated

import numpy as np
from pydantic import Field

from fer_experiments.balance.strategy import Strategy, TrainingPlan, all_indices, count_images_per_class
from fer_experiments.balance.weighting import Beta, ReweightAfter, compute_class_balanced_weights


class LDAM(Strategy):
    """The label-distribution-aware margin loss with deferred re-weighting (Cao et al. 2019, equations 12 and 13).

    The last layer gives cosines times `scale`. The loss subtracts a margin m_c ~ n_c^(-1/4) from the true class's
    cosine; the largest margin is `max_margin`. Class-balanced weights with `beta` apply after the fraction
    `reweight_after` of the training.
    """

    max_margin: Annotated[float, Field(gt=0.0, le=1.0)]
    scale: Annotated[float, Field(gt=0.0)]
    beta: Beta
    reweight_after: ReweightAfter

    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        from fer_experiments.balance.losses import Margin
        from fer_experiments.balance.objective import Objective

        counts = count_images_per_class(labels)
        margins = (self.max_margin * (counts.min() / counts) ** 0.25).astype(np.float32)
        weights = compute_class_balanced_weights(counts, self.beta)
        objective = Objective(Margin(self.scale * margins), weights, self.reweight_after)
        return TrainingPlan(all_indices(labels), objective=objective, cosine_head=self.scale)
