"""augment=trivialaugment: TrivialAugmentWide of torchvision."""

from torchvision.transforms import v2

from fer_experiments.augment.image_by_image import ImageByImage


class TrivialAugment(ImageByImage):
    """One of 14 changes in one of num_magnitude_bins magnitudes, drawn for each image. Müller and Hutter 2021."""

    def build_transform(self) -> v2.Transform:
        return v2.TrivialAugmentWide(**self.model_dump())
