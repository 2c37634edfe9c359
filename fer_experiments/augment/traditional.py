"""augment=traditional: the differences between photographs that come from where the camera stands."""

import math
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from fer_experiments.augment.base import Augment, round_to_bytes


class Traditional(Augment):
    """A flip, rotation, shift and zoom in one bilinear resampling; pixels from outside the image repeat its border."""

    capturable: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True

    flip: Annotated[float, Field(ge=0.0, le=1.0)]
    degrees: Annotated[float, Field(ge=0.0, le=180.0)]
    translate: Annotated[float, Field(ge=0.0, le=1.0)]
    scale: Annotated[float, Field(ge=0.0, lt=1.0)]

    def __call__(self, images: Tensor) -> Tensor:
        return round_to_bytes(self.transform_float(images.float()))

    def transform_float(self, images: Tensor) -> Tensor:
        return self.resample(images)

    def resample(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) float -> resampled images of the same shape and range."""
        draws = torch.rand(5, len(images), device=images.device) * 2 - 1  # in [-1, 1): flip, angle, x, y, zoom
        flip = torch.where(draws[0] < 2 * self.flip - 1, -1.0, 1.0)
        angle = draws[1] * math.radians(self.degrees)
        shift = draws[2:4] * 2 * self.translate  # the sampling grid spans [-1, 1], two sides long
        zoom = 1 / (1 + draws[4] * self.scale)  # the grid shrinks as the picture grows
        cosine, sine = zoom * angle.cos(), zoom * angle.sin()
        # The grid says for each output place where to look in the input: flip, then rotate and zoom, then shift.
        rows = [cosine * flip, -sine, shift[0], sine * flip, cosine, shift[1]]
        matrices = torch.stack(rows, dim=1).view(-1, 2, 3)
        grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
