"""balance=joint"""

from typing import ClassVar

import numpy as np

from fer_experiments.balance.sampling import SamplingStrategy, repeat
from fer_experiments.balance.strategy import Plan, Strategy, all_of


class Joint(Strategy):
    """The classifier is trained together with the GAN whose images it sees (conf/joint).

    Real images of the small classes are repeated; with sampling_strategy null all are used as they are.
    """

    evens: ClassVar[bool] = True
    sampling_strategy: SamplingStrategy | None

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        if self.sampling_strategy is None:
            return Plan(all_of(labels))
        return Plan(repeat(self.sampling_strategy, labels, seed))
