"""The faults for which balance.reject drops generated images, for strategies that share the images of one GAN."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fer_experiments.balance import InjectGenerated, Strategy
from fer_experiments.data.faults import FAULTS


@dataclass(frozen=True)
class Rejection:
    """The faults for which at least one strategy drops an image (`by_any`), and those for which all do (`by_all`)."""

    by_any: tuple[str, ...] = ()
    by_all: tuple[str, ...] = ()

    @classmethod
    def from_strategies(cls, strategies: Iterable[Strategy]) -> Rejection:
        """Combine the `reject` of those strategies that use generated images."""
        faults = [set(strategy.reject) for strategy in strategies if isinstance(strategy, InjectGenerated)]
        by_any, by_all = set().union(*faults), set.intersection(*faults) if faults else set()
        return cls(*(tuple(fault for fault in FAULTS if fault in chosen) for chosen in (by_any, by_all)))
