"""Policies of torchvision, which choose for each image what is done to it."""

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torchvision.transforms.v2 import Transform

from fer_experiments.augment.base import Augment


class ImageByImage(Augment):
    """A transform of torchvision's, called for every image: for a batch it would draw once.

    The draws are the CPU's generator's and choose on the host, so that a CUDA graph would repeat those of its capture.
    """

    capturable: ClassVar[bool] = False

    num_magnitude_bins: Annotated[int, Field(ge=2)]
    interpolation: Literal["nearest", "bilinear"]
    fill: Annotated[int, Field(ge=0, le=255)]

    @abstractmethod
    def transform(self) -> Transform:
        """For one image (C, H, W) uint8."""

    def __call__(self, images: Tensor) -> Tensor:
        transform = self.transform()
        return torch.stack([transform(image) for image in images])
