"""augment=crop_flip: the usual augmentation of CIFAR-10."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from fer_experiments.augment.base import Augment

if TYPE_CHECKING:
    from torch import Tensor


class CropFlip(Augment):
    """A crop of the image with a black border, and a flip, without any resampling. He et al. 2016, section 4.2."""

    differentiable: ClassVar[bool] = True

    padding: Annotated[int, Field(ge=0)]
    flip: Annotated[float, Field(ge=0.0, le=1.0)]

    def __call__(self, images: "Tensor") -> "Tensor":
        return self.transform_float(images)  # pixels are moved, so bytes stay bytes

    def transform_float(self, images: "Tensor") -> "Tensor":
        from fer_experiments.augment.geometry import crop_padded, flip_at_random

        return flip_at_random(crop_padded(images, self.padding), self.flip)
