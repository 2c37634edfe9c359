"""balance=oversample, balance=undersample: images of small classes repeated, or images of large ones left out."""

from typing import ClassVar

import numpy as np

from fer_experiments.balance.sampling import SamplingStrategy, count_images_to_keep, repeat_small_classes
from fer_experiments.balance.strategy import Strategy, TrainingPlan
from fer_experiments.random_streams import RandomStream


class Oversample(Strategy):
    """Random over-sampling: images of the small classes are repeated, all nearly equally often."""

    balances_classes: ClassVar[bool] = True
    sampling_strategy: SamplingStrategy

    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        return TrainingPlan(repeat_small_classes(self.sampling_strategy, labels, seed))


class Undersample(Strategy):
    """Random under-sampling: images of the large classes are left out at random."""

    keeps_all_images: ClassVar[bool] = False
    balances_classes: ClassVar[bool] = True
    sampling_strategy: SamplingStrategy

    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        rng = np.random.default_rng([seed, RandomStream.RESAMPLING])
        counts = count_images_to_keep(self.sampling_strategy, labels)
        members = {str(name): np.flatnonzero(labels == name) for name in np.unique(labels)}
        kept = [rng.permutation(indices)[: counts.get(name, len(indices))] for name, indices in members.items()]
        return TrainingPlan(np.sort(np.concatenate(kept)))
