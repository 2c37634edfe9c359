"""A trained classifier that is asked: images as bytes in, logits of its classes out."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fer_experiments.classifier.recipe import mirrored_logits

BATCH = 128


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """network: of `channels` and K `classes`, in evaluation mode; image_size: of the images that it is to be given.

    mirror_test: it sees each image and its mirror image; shift (K,): added to its logits, as balance.Objective has it.
    """

    network: nn.Module
    classes: tuple[str, ...]
    channels: int
    image_size: int
    mirror_test: bool
    shift: Tensor | None = None

    def probabilities(self, images: Tensor) -> Tensor:
        """images (N, 1 or C, S, S) uint8 -> (N, K) float32 of each class."""
        return self.logits(images).softmax(1)

    def logits(self, images: Tensor) -> Tensor:
        """images (N, 1 or C, S, S) uint8 -> (N, K) float32."""
        return self._each_batch(images, self.read)

    def read(self, batch: Tensor) -> Tensor:
        """images (B, C, S, S) in [0, 1], on the network's device -> logits (B, K)."""
        logits = mirrored_logits(self.network, batch) if self.mirror_test else self.network(batch)
        return logits if self.shift is None else logits + self.shift

    @torch.inference_mode()
    def _each_batch(self, images: Tensor, look: Callable[[Tensor], Tensor]) -> Tensor:
        assert images.shape[-1] == self.image_size, images.shape
        device = next(self.network.parameters()).device
        found = [look(self._prepared(batch.to(device))).float().cpu() for batch in images.split(BATCH)]
        return torch.cat(found)

    def _prepared(self, images: Tensor) -> Tensor:
        images = (images.float() / 255).expand(-1, self.channels, -1, -1)
        return images.contiguous(memory_format=torch.channels_last)
