"""The reference classifier: a classifier of real images that looks at generated ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fer_experiments.classifier.head import find_last_linear
from fer_experiments.classifier.predictor import Predictor


@dataclass(frozen=True, kw_only=True)
class ReferenceClassifier(Predictor):
    """A predictor with its metrics on the real validation images: balanced_accuracy, recall of each class, images."""

    metrics: dict[str, Any]

    def features(self, images: Tensor) -> Tensor:
        """images (N, 1 or C, S, S) uint8 -> (N, D) float32: the input of the last layer."""
        with self._record_features() as batches:
            self._map_batches(images, self.network)
        return torch.cat(batches)

    @contextmanager
    def _record_features(self) -> Iterator[list[Tensor]]:
        """Give a list that collects each batch (B, D) that reaches the last layer while the block runs."""
        named_layer = find_last_linear(self.network, len(self.classes))
        assert named_layer is not None, "Settings checks that the network has such a layer"
        _, layer = named_layer
        batches: list[Tensor] = []
        handle = layer.register_forward_pre_hook(lambda _, inputs: batches.append(inputs[0].flatten(1).float().cpu()))
        try:
            yield batches
        finally:
            handle.remove()
