"""Differentiable augmentation of the discriminator's images, real and generated (Zhao et al. 2020).

Every function maps images (B, C, S, S) in [-1, 1] to images of the same shape, with one random draw for each image, on
the images' device. Gradients flow through it. Pixels that are moved in or cut out are 0, the middle grey.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from fer_experiments.gan.config import parse_policy


def brightness(images: Tensor) -> Tensor:
    """Add a number from U(-0.5, 0.5) to each image."""
    return images + _uniform(images, -0.5, 0.5)


def saturation(images: Tensor) -> Tensor:
    """Scale each pixel's distance from the mean of its channels by a factor from U(0, 2); grey images do not change."""
    grey = images.mean(1, keepdim=True)
    return torch.lerp(grey, images, _uniform(images, 0.0, 2.0))


def contrast(images: Tensor) -> Tensor:
    """Scale each pixel's distance from the mean of its image by a factor from U(0.5, 1.5)."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, _uniform(images, 0.5, 1.5))


def color(images: Tensor) -> Tensor:
    """Change brightness, then saturation, then contrast."""
    return contrast(saturation(brightness(images)))


def translation(images: Tensor) -> Tensor:
    """Shift each image by up to an eighth of its side along both axes, in whole pixels."""
    return _shift(_shift(images, 2), 3)


def _shift(images: Tensor, axis: int) -> Tensor:
    side = images.shape[axis]
    offset = torch.randint(-(side // 8), side // 8 + 1, (len(images), 1, 1, 1), device=images.device)
    source = _coordinates(images, axis) - offset  # (B, 1, S, 1) or (B, 1, 1, S)
    inside = (source >= 0) & (source < side)
    return images.gather(axis, source.clamp(0, side - 1).expand_as(images)) * inside


def cutout(images: Tensor) -> Tensor:
    """Set a square of half the side to 0. Its centre may lie anywhere in the image, so that the rim often cuts it."""
    # A square that must lie within the image would always hide the image's centre.
    half = images.shape[2] // 4
    inside = torch.ones((), dtype=torch.bool, device=images.device)
    for axis in (2, 3):
        centre = torch.randint(0, images.shape[axis] + 1, (len(images), 1, 1, 1), device=images.device)
        coordinates = _coordinates(images, axis)
        inside = inside & (coordinates >= centre - half) & (coordinates < centre + half)
    return images * ~inside


def _coordinates(images: Tensor, axis: int) -> Tensor:
    """Return 0 to S - 1 along one axis; the other three have length 1."""
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    return torch.arange(images.shape[axis], device=images.device).reshape(shape)


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    """Draw one number in [low, high) for each image, (B, 1, 1, 1)."""
    return torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype) * (high - low) + low


AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}


def diffaugment(images: Tensor, policy: str | None) -> Tensor:
    """Apply the augmentations that the policy names, one after the other; return `images` itself if it is None."""
    for name in [] if policy is None else parse_policy(policy):
        images = AUGMENTATIONS[name](images)
    return images


def random_flip(images: Tensor) -> Tensor:
    """Flip each image from left to right with probability 0.5. For real images, of which this makes twice as many."""
    return torch.where(torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5, images.flip(3), images)
