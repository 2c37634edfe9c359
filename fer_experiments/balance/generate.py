"""balance=dcgan"""

from typing import ClassVar

import numpy as np

from fer_experiments.balance.sampling import SamplingStrategy, images_to_add
from fer_experiments.balance.strategy import Plan, Strategy, all_of
from fer_experiments.spec import UserPath


class Generate(Strategy):
    """Generated images fill the small classes (Surono et al. 2023: 820 angry + 80 generated = 900)."""

    evens: ClassVar[bool] = True
    sampling_strategy: SamplingStrategy
    synthetic: UserPath | None

    @property
    def needs_images(self) -> bool:
        return self.synthetic is None

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        return Plan(all_of(labels), generated=images_to_add(self.sampling_strategy, labels))
