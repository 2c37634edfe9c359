"""augment=none: no augmentation."""

from typing import TYPE_CHECKING, ClassVar

from fer_experiments.augment.base import Augment

if TYPE_CHECKING:
    from torch import Tensor


class NoAugment(Augment):
    """No augmentation: images stay as they are."""

    differentiable: ClassVar[bool] = True

    def __call__(self, images: "Tensor") -> "Tensor":
        return images

    def transform_float(self, images: "Tensor") -> "Tensor":
        return images
