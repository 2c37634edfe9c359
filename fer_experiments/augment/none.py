"""augment=none: no augmentation."""

from typing import ClassVar

from torch import Tensor

from fer_experiments.augment.base import Augment


class NoAugment(Augment):
    """No augmentation: images stay as they are."""

    capturable: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True

    def __call__(self, images: Tensor) -> Tensor:
        return images

    def transform_float(self, images: Tensor) -> Tensor:
        return images
