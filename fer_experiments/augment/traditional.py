"""augment=traditional: the differences between photographs that come from where the camera stands."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from fer_experiments.augment.base import Augment

if TYPE_CHECKING:
    from torch import Tensor


class Traditional(Augment):
    """A flip, rotation, shift and zoom in one bilinear resampling; pixels from outside the image repeat its border."""

    differentiable: ClassVar[bool] = True

    flip: Annotated[float, Field(ge=0.0, le=1.0)]
    degrees: Annotated[float, Field(ge=0.0, le=180.0)]
    translate: Annotated[float, Field(ge=0.0, le=1.0)]
    scale: Annotated[float, Field(ge=0.0, lt=1.0)]

    def __call__(self, images: "Tensor") -> "Tensor":
        from fer_experiments.augment.pixels import round_to_bytes

        return round_to_bytes(self.transform_float(images.float()))

    def transform_float(self, images: "Tensor") -> "Tensor":
        from fer_experiments.augment.geometry import resample

        return resample(images, flip=self.flip, degrees=self.degrees, translate=self.translate, scale=self.scale)
