"""balance=balanced_softmax, balance=logit_adjustment, balance=logit_adjustment_post_hoc: log priors on the logits."""

from typing import Annotated

import numpy as np
from pydantic import Field

from fer_experiments.balance.strategy import Strategy, TrainingPlan, all_indices, count_images_per_class


def compute_log_priors(labels: np.ndarray) -> np.ndarray:
    """labels (N,) of class names -> log(n_c / n) (K,) float32, in the sorted order of the classes."""
    return np.log(count_images_per_class(labels) / len(labels)).astype(np.float32)


class BalancedSoftmax(Strategy):
    """Cross-entropy with the probabilities n_y exp(logit_y) / sum_k n_k exp(logit_k) (Ren et al. 2020, equation 4)."""

    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        from fer_experiments.balance.losses import LogitAdjusted
        from fer_experiments.balance.objective import Objective

        return TrainingPlan(all_indices(labels), objective=Objective(LogitAdjusted(compute_log_priors(labels))))


class LogitAdjustment(Strategy):
    """Logit adjustment by tau log(n_c / n) (Menon et al. 2021).

    It is added to the logits in the loss (equation 10). With `post_hoc` the training is plain, and it is subtracted
    from the logits of predictions (equation 9). tau = 1 in the loss is balanced softmax.
    """

    tau: Annotated[float, Field(ge=0.0)]
    post_hoc: bool

    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        from fer_experiments.balance.losses import LogitAdjusted
        from fer_experiments.balance.objective import Objective

        shift = self.tau * compute_log_priors(labels)
        return TrainingPlan(
            all_indices(labels), objective=Objective(shift=-shift) if self.post_hoc else Objective(LogitAdjusted(shift))
        )
