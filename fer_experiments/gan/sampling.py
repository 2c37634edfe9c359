"""Generate images with the module that a training trains, or with a generator by itself."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fer_experiments.errors import NonFiniteError


@torch.inference_mode()
def sample(
    generator: nn.Module,
    seeds: Sequence[int],
    stored_channels: int,
    label_index: int | None = None,
    batch_size: int = 64,
) -> np.ndarray:
    """Generate one image for each seed; return (N, S, S, stored_channels) uint8.

    Args:
        generator: has a method sample(labels, seeds) -> images (N, C, S, S) in [0, 1], in which each image depends on
            its own label (labels: (N,) int64, or None if the generator is not conditional) and its own seed alone. It
            is called in evaluation mode; the call leaves every part in the mode in which it was.
        seeds: latent seeds.
        stored_channels: 1 or 3; three channels become one by their mean.
        label_index: the class that a conditional generator generates.
        batch_size: how many images are generated at a time.

    Raises:
        NonFiniteError: `sample` returned numbers that are not finite.
        ValueError: it returned something else.
    """
    model: Any = generator
    device = next(generator.parameters()).device
    modes = {module: module.training for module in generator.modules()}
    generator.eval()
    parts = []
    for start in range(0, len(seeds), batch_size):
        batch = list(seeds[start : start + batch_size])
        labels = None if label_index is None else torch.full((len(batch),), label_index, device=device)
        images = model.sample(labels, batch)
        _check_images(type(generator).__name__, images, len(batch))
        if stored_channels < images.shape[1]:
            images = images.mean(dim=1, keepdim=True)
        parts.append((images.float() * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu())
    for module, mode in modes.items():
        module.training = mode
    return torch.cat(parts).numpy()


def _check_images(name: str, images: Any, count: int) -> None:
    """Raise ValueError unless these are `count` images (N, C, S, S) in [0, 1]."""
    if not isinstance(images, Tensor) or images.ndim != 4 or len(images) != count:
        kind = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"{name}.sample returned {kind} for {count} seeds; it must return images ({count}, C, S, S)")
    low, high = images.min().item(), images.max().item()
    if not (isfinite(low) and isfinite(high)):
        raise NonFiniteError(
            f"{name}.sample returned values that are not finite; try a smaller learning rate or "
            "trainer.precision=32-true"
        )
    if not (low >= 0 and high <= 1):
        raise ValueError(f"{name}.sample returned values from {low:.3g} to {high:.3g}; images are in [0, 1]")
