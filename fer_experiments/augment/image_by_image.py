"""Policies of torchvision, which draw a change for each image."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from fer_experiments.augment.base import Augment

if TYPE_CHECKING:
    from torch import Tensor
    from torchvision.transforms.v2 import Transform


class ImageByImage(Augment):
    """A transform of torchvision, called for every image: called on a batch, it would draw only once."""

    num_magnitude_bins: Annotated[int, Field(ge=2)]
    interpolation: Literal["nearest", "bilinear"]
    fill: Annotated[int, Field(ge=0, le=255)]

    @abstractmethod
    def build_transform(self) -> "Transform":
        """Return the transform of one image (C, H, W) uint8."""

    def __call__(self, images: "Tensor") -> "Tensor":
        import torch

        transform = self.build_transform()
        return torch.stack([transform(image) for image in images])
