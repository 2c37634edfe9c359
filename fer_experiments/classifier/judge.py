"""The judge: a classifier of real images that looks at generated ones."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fer_experiments.classifier.head import last_linear
from fer_experiments.classifier.recipe import mirrored_logits

BATCH = 128


@dataclass(frozen=True)
class Judge:
    """network: of `channels` and K `classes`, in evaluation mode; image_size: of the images that it is to be given.

    measured: how good it is itself, on the real validation images (balanced_accuracy, recall of each class, images).
    """

    network: nn.Module
    classes: tuple[str, ...]
    channels: int
    image_size: int
    mirror_test: bool
    measured: dict[str, Any]

    def features(self, images: Tensor) -> Tensor:
        """images (N, 1 or C, S, S) uint8 -> (N, D) float32, what the last layer gets to see."""
        with self._heard() as heard:
            self._each_batch(images, self.network)
        return torch.cat(heard)

    def probabilities(self, images: Tensor) -> Tensor:
        """images (N, 1 or C, S, S) uint8 -> (N, K) float32 of each class; of an image and its mirror, if so trained."""
        return self.logits(images).softmax(1)

    def logits(self, images: Tensor) -> Tensor:
        """images (N, 1 or C, S, S) uint8 -> (N, K) float32."""
        if self.mirror_test:
            return self._each_batch(images, lambda batch: mirrored_logits(self.network, batch))
        return self._each_batch(images, self.network)

    @torch.inference_mode()
    def _each_batch(self, images: Tensor, look: Callable[[Tensor], Tensor]) -> Tensor:
        assert images.shape[-1] == self.image_size, images.shape
        device = next(self.network.parameters()).device
        found = [look(self._prepared(batch.to(device))).float().cpu() for batch in images.split(BATCH)]
        return torch.cat(found)

    def _prepared(self, images: Tensor) -> Tensor:
        images = (images.float() / 255).expand(-1, self.channels, -1, -1)
        return images.contiguous(memory_format=torch.channels_last)

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
