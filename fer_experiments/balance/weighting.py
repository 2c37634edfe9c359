"""balance=class_weight, balance=class_balanced, balance=drw: weights of the classes in the loss."""

from abc import abstractmethod
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from fer_experiments.balance.strategy import Strategy, TrainingPlan, all_indices, count_images_per_class

ReweightAfter = Annotated[float, Field(ge=0.0, lt=1.0)]
Beta = Annotated[float, Field(ge=0.0, lt=1.0)]


class Weighting(Strategy):
    """A loss with weights of the classes.

    reweight_after: the fraction of the training after which the weights apply (deferred re-weighting, Cao et al. 2019).
    """

    reweight_after: ReweightAfter

    @abstractmethod
    def weights(self, counts: np.ndarray) -> np.ndarray:
        """counts (K,) of images per class -> weights (K,)."""

    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        from fer_experiments.balance.objective import Objective

        weights = self.weights(count_images_per_class(labels))
        return TrainingPlan(
            all_indices(labels), objective=Objective(weights=weights, reweight_after=self.reweight_after)
        )


class ClassWeight(Weighting):
    """Cross-entropy weighted by w_c = n / (K n_c) (King and Zeng 2001; scikit-learn's "balanced")."""

    balances_classes: ClassVar[bool] = True

    def weights(self, counts: np.ndarray) -> np.ndarray:
        return counts.sum() / (len(counts) * counts)


class ClassBalanced(Weighting):
    """Cross-entropy weighted by the inverse of the effective number of images (Cui et al. 2019, equation 12)."""

    beta: Beta

    def weights(self, counts: np.ndarray) -> np.ndarray:
        return compute_class_balanced_weights(counts, self.beta)


def compute_class_balanced_weights(counts: np.ndarray, beta: float) -> np.ndarray:
    """counts (K,) of images per class -> weights (K,) ~ (1 - beta) / (1 - beta^n_c), which sum to K.

    beta = 0 gives equal weights; beta -> 1 gives weights ~ 1 / n_c.
    """
    weights = (1 - beta) / (1 - beta**counts)
    return weights * len(counts) / weights.sum()
