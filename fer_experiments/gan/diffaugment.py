"""Differentiable augmentation of what the discriminator sees, real and generated (Zhao et al. 2020).

Every function maps images (B, C, S, S) in [-1, 1] to images of the same shape; its draws are on the device, one for
each image, and gradients flow through it. What is moved in or cut out is 0, the middle grey.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def brightness(images: Tensor) -> Tensor:
    """+ U(-0.5, 0.5)"""
    return images + _uniform(images, -0.5, 0.5)


def saturation(images: Tensor) -> Tensor:
    """x U(0, 2) about the mean of the channels, which stays; grey images stay as they are."""
    grey = images.mean(1, keepdim=True)
    return torch.lerp(grey, images, _uniform(images, 0.0, 2.0))


def contrast(images: Tensor) -> Tensor:
    """x U(0.5, 1.5) about the mean of the image, which stays."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return torch.lerp(mean, images, _uniform(images, 0.5, 1.5))


def color(images: Tensor) -> Tensor:
    return contrast(saturation(brightness(images)))


def translation(images: Tensor) -> Tensor:
    """Shifted by up to an eighth of the side, down or up and right or left, in whole pixels."""
    return _shifted(_shifted(images, 2), 3)


def _shifted(images: Tensor, axis: int) -> Tensor:
    side = images.shape[axis]
    by = torch.randint(-(side // 8), side // 8 + 1, (len(images), 1, 1, 1), device=images.device)
    source = _places(images, axis) - by  # (B, 1, S, 1) or (B, 1, 1, S)
    inside = (source >= 0) & (source < side)
    return images.gather(axis, source.clamp(0, side - 1).expand_as(images)) * inside


def cutout(images: Tensor) -> Tensor:
    """A square of half the side is 0. Its centre is drawn from the whole image, so that the rim often hides a part."""
    # A square that always lay within the image would always hide the image's centre.
    half = images.shape[2] // 4
    inside = torch.ones((), dtype=torch.bool, device=images.device)
    for axis in (2, 3):
        centre = torch.randint(0, images.shape[axis] + 1, (len(images), 1, 1, 1), device=images.device)
        places = _places(images, axis)
        inside = inside & (places >= centre - half) & (places < centre + half)
    return images * ~inside


def _places(images: Tensor, axis: int) -> Tensor:
    """0 to S - 1 along one axis, of length 1 along the others."""
    shape = [1, 1, 1, 1]
    shape[axis] = -1
    return torch.arange(images.shape[axis], device=images.device).reshape(shape)


def _uniform(images: Tensor, low: float, high: float) -> Tensor:
    """One number in [low, high) for each image, (B, 1, 1, 1)."""
    return torch.rand(len(images), 1, 1, 1, device=images.device, dtype=images.dtype) * (high - low) + low


AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}


def words(policy: str) -> list[str]:
    """ "color,cutout" -> ["color", "cutout"]. Raises ValueError for a word that is none of AUGMENTATIONS."""
    found = [word.strip() for word in policy.split(",")]
    unknown = [word for word in found if word not in AUGMENTATIONS]
    if unknown:
        raise ValueError(
            f"there is no augmentation {', '.join(map(repr, unknown))}; give some of {', '.join(AUGMENTATIONS)} with "
            "commas between them, or null"
        )
    return found


def diffaugment(images: Tensor, policy: str | None) -> Tensor:
    """The augmentations that the policy names, one after the other; None: the images as they are."""
    for word in [] if policy is None else words(policy):
        images = AUGMENTATIONS[word](images)
    return images


def mirrored(images: Tensor) -> Tensor:
    """Each image mirrored or not with equal chances; for real images, which double so."""
    return torch.where(torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5, images.flip(3), images)
