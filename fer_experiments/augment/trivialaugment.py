"""augment=trivialaugment: TrivialAugmentWide of torchvision."""

from typing import TYPE_CHECKING

from fer_experiments.augment.image_by_image import ImageByImage

if TYPE_CHECKING:
    from torchvision.transforms.v2 import Transform


class TrivialAugment(ImageByImage):
    """One of 14 changes in one of num_magnitude_bins magnitudes, drawn for each image. Müller and Hutter 2021."""

    def build_transform(self) -> "Transform":
        from torchvision.transforms import v2

        return v2.TrivialAugmentWide(**self.model_dump())
