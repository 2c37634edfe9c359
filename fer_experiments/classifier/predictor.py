"""A trained classifier for predictions: uint8 images in, logits or probabilities out."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fer_experiments.classifier.recipe import flip_averaged_logits

BATCH_SIZE = 128


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A network in evaluation mode, with the way to its predictions.

    Attributes:
        network: images (B, C, S, S) in [0, 1] -> logits (B, K).
        classes: the names of the K classes.
        channels: C of the images.
        image_size: S of the images.
        flip_test: whether predictions are averaged over an image and its mirror image.
        shift: (K,), is added to the logits (balance.Objective); None: nothing is.
    """

    network: nn.Module
    classes: tuple[str, ...]
    channels: int
    image_size: int
    flip_test: bool
    shift: Tensor | None = None

    def probabilities(self, images: Tensor) -> Tensor:
        """images (N, 1 or C, S, S) uint8 -> probabilities (N, K) float32."""
        return self.logits(images).softmax(1)

    def logits(self, images: Tensor) -> Tensor:
        """images (N, 1 or C, S, S) uint8 -> logits (N, K) float32."""
        return self._map_batches(images, self.predict_batch)

    def predict_batch(self, batch: Tensor) -> Tensor:
        """images (B, C, S, S) in [0, 1], on the network's device -> logits (B, K)."""
        logits = flip_averaged_logits(self.network, batch) if self.flip_test else self.network(batch)
        return logits if self.shift is None else logits + self.shift.to(logits.device)

    @torch.inference_mode()
    def _map_batches(self, images: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        assert images.shape[-1] == self.image_size, images.shape
        device = next(self.network.parameters()).device
        outputs = [function(self.scale(batch.to(device))).float().cpu() for batch in images.split(BATCH_SIZE)]
        return torch.cat(outputs)

    def scale(self, images: Tensor) -> Tensor:
        """images (B, 1 or C, S, S) uint8 -> images (B, C, S, S) in [0, 1], channels_last."""
        scaled = (images.float() / 255).expand(-1, self.channels, -1, -1)
        return scaled.contiguous(memory_format=torch.channels_last)
