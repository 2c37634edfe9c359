"""The contract of every augmentation."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from fer_experiments.strict_config import StrictConfig

if TYPE_CHECKING:
    from torch import Tensor


class Augment(StrictConfig, ABC):
    """A random change of images, which keeps their shape and their class."""

    differentiable: ClassVar[bool] = False
    """Whether `transform_float` is implemented."""

    @abstractmethod
    def __call__(self, images: "Tensor") -> "Tensor":
        """images (B, C, H, W) uint8, C 1 or 3 -> the same shape, type and device; the input is not changed.

        Every image has its own draws, all from torch's global generators.
        """

    def transform_float(self, images: "Tensor") -> "Tensor":
        """images (B, C, H, W) float in about [0, 255] -> the same shape, not rounded; differentiable in the images."""
        raise NotImplementedError(f"{type(self).__name__} has no gradient")
