"""balance=dcgan"""

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from fer_experiments.balance.sampling import SamplingStrategy, images_to_add, repeat
from fer_experiments.balance.strategy import Plan, Strategy, all_of
from fer_experiments.data.batches import Injection
from fer_experiments.data.synthetic import Fault
from fer_experiments.errors import ConfigError
from fer_experiments.spec import UserPath

Number = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]
PRETRAINING = 1 / 3  # of the steps


class Generate(Strategy):
    """Generated images, in one of three ways (`inject`).

    missing: they fill the small classes (Surono et al. 2023: 820 angry + 80 generated = 900). symmetric: every class
    gets as many of them, and the real images of the small classes are repeated, so that being generated tells no
    class. pretrain: training begins on as many generated images of every class and goes on with real ones alone,
    repeated likewise.

    add: so many whatever the balance; where they are missing of the smallest class (the first by name among equals) or
    {class: number} of each, else of every class. None: as sampling_strategy says, else as many as the largest class
    has. share: of each batch, None: as many as they are among all images; with pretrain of the steps, None: a third.
    weight: of a generated image in the loss. reject: faults for which images are dropped and others drawn instead.
    """

    evens: ClassVar[bool] = True
    sampling_strategy: SamplingStrategy
    add: Number | dict[str, Number] | None
    inject: Literal["missing", "symmetric", "pretrain"]
    share: Share | None
    weight: Annotated[float, Field(gt=0.0)]
    reject: list[Fault]
    synthetic: UserPath | None

    @model_validator(mode="after")
    def _fits(self) -> "Generate":
        if self.inject != "missing" and isinstance(self.add, dict):
            raise ValueError(f"add={self.add}: with inject={self.inject} every class has as many; give one number")
        if self.inject == "pretrain" and self.weight != 1:
            raise ValueError(f"weight={self.weight}: with inject=pretrain no batch has both kinds; leave it at 1.0")
        return self

    @property
    def needs_images(self) -> bool:
        return self.synthetic is None and self.add != 0

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        if self.inject == "missing":
            return Plan(all_of(labels), generated=self._missing(labels), injection=self._injection())
        names, counts = np.unique(labels, return_counts=True)
        assert not isinstance(self.add, dict)  # _fits
        number = int(counts.max()) if self.add is None else self.add
        generated = {str(name): number for name in names if number}
        return Plan(repeat(self.sampling_strategy, labels, seed), generated=generated, injection=self._injection())

    def _injection(self) -> Injection:
        if self.inject == "pretrain":
            return Injection(first=self.share or PRETRAINING)
        return Injection(share=self.share, weight=self.weight)

    def _missing(self, labels: np.ndarray) -> dict[str, int]:
        if self.add is None:
            return images_to_add(self.sampling_strategy, labels)
        names, counts = np.unique(labels, return_counts=True)
        wanted = self.add if isinstance(self.add, dict) else {str(names[counts.argmin()]): self.add}
        unknown = sorted(set(wanted) - set(names.tolist()))
        if unknown:
            raise ConfigError(
                f"balance.add={self.add}: no class {', '.join(unknown)}; the classes are {', '.join(names.tolist())}"
            )
        return {name: number for name, number in wanted.items() if number > 0}
