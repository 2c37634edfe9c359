"""The contract of every augmentation."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from fer_experiments.spec import Spec


class Augment(Spec, ABC):
    capturable: ClassVar[bool] = False
    """Whether calls may be replayed as a CUDA graph: every draw and choice is made on the device."""
    differentiable: ClassVar[bool] = False
    """Whether there is `smooth`."""

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) uint8, C 1 or 3 -> the same shape, type and device; the input stays as it is.

        Every image has its own draws, all from torch's global generators.
        """

    def smooth(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) float around 0 to 255 -> the same without rounding, with a gradient by the images."""
        raise NotImplementedError(f"{type(self).__name__} has no gradient")


def rounded(pixels: Tensor) -> Tensor:
    """Floats around 0 to 255 -> the nearest uint8."""
    return pixels.round().clamp(0, 255).to(torch.uint8)
