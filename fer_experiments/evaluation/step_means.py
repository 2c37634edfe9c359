"""Means of what training steps measure, gathered on the device so that no step waits for it."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


class StepMeans:
    """Gather the same named scalars of every step, {name: tensor ()}, until their means are computed."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._steps: list[Tensor] = []

    def __len__(self) -> int:
        """The number of steps since the last `compute`."""
        return len(self._steps)

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add what a step measured."""
        self._names = tuple(values)
        self._steps.append(torch.stack([*values.values()]).detach().float())

    def compute(self, reduce: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Return {name: mean over the steps} and forget the steps; {} if there was none.

        reduce: the mean over devices of a tensor of means (N,).
        """
        if not self._steps:
            return {}
        means = reduce(torch.stack(self._steps).mean(0))
        self._steps.clear()
        return dict(zip(self._names, means.tolist(), strict=True))
