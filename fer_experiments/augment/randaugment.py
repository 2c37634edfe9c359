"""augment=randaugment: RandAugment of torchvision."""

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from fer_experiments.augment.image_by_image import ImageByImage

if TYPE_CHECKING:
    from torchvision.transforms.v2 import Transform


class RandAugment(ImageByImage):
    """num_ops of 14 changes, drawn for each image, all of one magnitude. Cubuk et al. 2020."""

    num_ops: Annotated[int, Field(ge=1)]
    magnitude: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _check_magnitude(self) -> "RandAugment":
        if self.magnitude >= self.num_magnitude_bins:
            raise ValueError(
                f"magnitude={self.magnitude}: must be below num_magnitude_bins={self.num_magnitude_bins}; "
                "give a smaller magnitude or more bins"
            )
        return self

    def build_transform(self) -> "Transform":
        from torchvision.transforms import v2

        return v2.RandAugment(**self.model_dump())
