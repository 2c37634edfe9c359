"""balance=class_weight, balance=class_balanced, balance=drw: weights of the classes in the loss."""

from abc import abstractmethod
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from fer_experiments.balance.objective import Objective
from fer_experiments.balance.strategy import Plan, Strategy, all_of, class_counts

Defer = Annotated[float, Field(ge=0.0, lt=1.0)]
Beta = Annotated[float, Field(ge=0.0, lt=1.0)]


class Weighting(Strategy):
    """defer: the share of training after which the weights count (deferred re-weighting, Cao et al. 2019)."""

    defer: Defer

    @abstractmethod
    def weights(self, counts: Tensor) -> Tensor:
        """Images of each class (K,) -> weights (K,) float32."""

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        weights = self.weights(class_counts(labels))
        return Plan(all_of(labels), objective=Objective(weights=weights, defer=self.defer))


class ClassWeight(Weighting):
    """Cross-entropy weighted by w_c = n / (K n_c) (King and Zeng 2001; scikit-learn's "balanced")."""

    evens: ClassVar[bool] = True

    def weights(self, counts: Tensor) -> Tensor:
        return (counts.sum() / (len(counts) * counts)).float()


class ClassBalanced(Weighting):
    """Cross-entropy weighted by the inverse of the effective number of images (Cui et al. 2019, equation 12)."""

    beta: Beta

    def weights(self, counts: Tensor) -> Tensor:
        return effective_weights(counts, self.beta)


def effective_weights(counts: Tensor, beta: float) -> Tensor:
    """w_c ~ (1 - beta) / (1 - beta^n_c), which sum to K: beta 0 gives 1, beta -> 1 gives 1/n_c. counts (K,)."""
    weights = (1 - beta) / (1 - torch.as_tensor(beta, dtype=torch.float64).pow(counts))
    return (weights * len(counts) / weights.sum()).float()
