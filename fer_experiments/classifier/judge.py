"""The judge: a classifier of real images that looks at generated ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fer_experiments.classifier.head import last_linear
from fer_experiments.classifier.predictor import Predictor


@dataclass(frozen=True, kw_only=True)
class Judge(Predictor):
    """measured: how good it is itself, on real validation images: balanced_accuracy, recall of each class, images."""

    measured: dict[str, Any]

    def features(self, images: Tensor) -> Tensor:
        """images (N, 1 or C, S, S) uint8 -> (N, D) float32, what the last layer gets to see."""
        with self._heard() as heard:
            self._each_batch(images, self.network)
        return torch.cat(heard)

    @contextmanager
    def _heard(self) -> Iterator[list[Tensor]]:
        """What the last layer is given while this is open, (B, D) a batch."""
        found = last_linear(self.network, len(self.classes))
        assert found is not None, "Config checks that the judge has such a layer"
        heard: list[Tensor] = []
        handle = found[1].register_forward_pre_hook(lambda _, given: heard.append(given[0].flatten(1).float().cpu()))
        try:
            yield heard
        finally:
            handle.remove()
