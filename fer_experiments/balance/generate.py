"""balance=dcgan"""

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from fer_experiments.balance.sampling import SamplingStrategy, images_to_add
from fer_experiments.balance.strategy import Plan, Strategy, all_of
from fer_experiments.errors import ConfigError
from fer_experiments.spec import UserPath

Number = Annotated[int, Field(ge=0)]


class Generate(Strategy):
    """Generated images fill the small classes (Surono et al. 2023: 820 angry + 80 generated = 900).

    add: so many whatever the balance, of the smallest class (the first by name among equals) or {class: number} of
    each; None: as sampling_strategy says.
    """

    evens: ClassVar[bool] = True
    sampling_strategy: SamplingStrategy
    add: Number | dict[str, Number] | None
    synthetic: UserPath | None

    @property
    def needs_images(self) -> bool:
        return self.synthetic is None and self.add != 0

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        wanted = images_to_add(self.sampling_strategy, labels) if self.add is None else self._added(labels)
        return Plan(all_of(labels), generated=wanted)

    def _added(self, labels: np.ndarray) -> dict[str, int]:
        names, counts = np.unique(labels, return_counts=True)
        wanted = self.add if isinstance(self.add, dict) else {str(names[counts.argmin()]): self.add or 0}
        unknown = sorted(set(wanted) - set(names.tolist()))
        if unknown:
            raise ConfigError(
                f"balance.add={self.add}: no class {', '.join(unknown)}; the classes are {', '.join(names.tolist())}"
            )
        return {name: number for name, number in wanted.items() if number > 0}
