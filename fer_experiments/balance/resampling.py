"""balance=oversample, balance=undersample"""

from typing import ClassVar

import numpy as np

from fer_experiments.balance.sampling import SamplingStrategy, images_to_keep, repeat
from fer_experiments.balance.strategy import Plan, Strategy


class Oversample(Strategy):
    """Random over-sampling: images of the small classes are repeated, each as evenly often as can be."""

    evens: ClassVar[bool] = True
    sampling_strategy: SamplingStrategy

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        return Plan(repeat(self.sampling_strategy, labels, seed))


class Undersample(Strategy):
    """Random under-sampling: images of the large classes are left out, drawn by seed."""

    keeps_all: ClassVar[bool] = False
    evens: ClassVar[bool] = True
    sampling_strategy: SamplingStrategy

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        rng = np.random.default_rng([seed, 5])
        keep = images_to_keep(self.sampling_strategy, labels)
        members = {str(name): np.flatnonzero(labels == name) for name in np.unique(labels)}
        kept = [rng.permutation(places)[: keep.get(name, len(places))] for name, places in members.items()]
        return Plan(np.sort(np.concatenate(kept)))
