"""balance=balanced_softmax, balance=logit_adjustment, balance=logit_adjustment_post_hoc: log priors on the logits."""

from typing import Annotated

import numpy as np
from pydantic import Field
from torch import Tensor

from fer_experiments.balance.losses import LogitAdjusted
from fer_experiments.balance.objective import Objective
from fer_experiments.balance.strategy import Plan, Strategy, all_of, class_counts


def log_priors(counts: Tensor) -> Tensor:
    """log(n_c / n) (K,) float32."""
    return (counts / counts.sum()).log().float()


class BalancedSoftmax(Strategy):
    """Cross-entropy of exp(logits) n_c / sum_k n_k exp(logits_k) (Ren et al. 2020, equation 4)."""

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        return Plan(all_of(labels), objective=Objective(LogitAdjusted(log_priors(class_counts(labels)))))


class LogitAdjustment(Strategy):
    """tau log(n_c / n) is added to the logits in the loss (Menon et al. 2021, equation 10), or, with `post_hoc`, taken
    from those of the predictions of a classifier trained without it (equation 9). tau 1 in the loss: balanced softmax.
    """

    tau: Annotated[float, Field(ge=0.0)]
    post_hoc: bool

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        shift = self.tau * log_priors(class_counts(labels))
        return Plan(
            all_of(labels), objective=Objective(shift=-shift) if self.post_hoc else Objective(LogitAdjusted(shift))
        )
