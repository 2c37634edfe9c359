"""augment=none."""

from torch import Tensor

from fer_experiments.augment.base import Augment


class NoAugment(Augment):
    """Images as they are."""

    def __call__(self, images: Tensor) -> Tensor:
        return images
