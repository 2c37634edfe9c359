"""augment=strong: differences in where the camera stands, in the light, and in what hides a part of the object."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from fer_experiments.augment.traditional import Traditional

if TYPE_CHECKING:
    from torch import Tensor

Share = Annotated[float, Field(gt=0.0, le=1.0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Strong(Traditional):
    """Traditional augmentation, then a change of brightness and contrast, then random erasing.

    The erased rectangle is filled with noise, uniform over all bytes: RE-R of Zhong et al. 2020.
    """

    brightness: Fraction
    contrast: Fraction
    erase: Fraction
    erase_area: list[Share]
    erase_ratio: Share

    @field_validator("erase_area")
    @classmethod
    def _check_range(cls, area: list[float]) -> list[float]:
        if len(area) != 2 or area[0] > area[1]:
            raise ValueError("takes the smallest and the largest share of an image, as [0.02, 0.33]")
        return area

    def transform_float(self, images: "Tensor") -> "Tensor":
        from fer_experiments.augment.pixels import change_light, erase_rectangles

        images = change_light(super().transform_float(images), brightness=self.brightness, contrast=self.contrast)
        return erase_rectangles(images, probability=self.erase, area=self.erase_area, min_ratio=self.erase_ratio)
