"""augment=traditional: what photographs of a thing differ in by the camera's place."""

import math
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from fer_experiments.augment.base import Augment, rounded


class Traditional(Augment):
    """Mirror, rotation, shift and zoom in one bilinear resampling; what leaves the image is filled with its border."""

    capturable: ClassVar[bool] = True
    differentiable: ClassVar[bool] = True

    flip: Annotated[float, Field(ge=0.0, le=1.0)]
    degrees: Annotated[float, Field(ge=0.0, le=180.0)]
    translate: Annotated[float, Field(ge=0.0, le=1.0)]
    scale: Annotated[float, Field(ge=0.0, lt=1.0)]

    def __call__(self, images: Tensor) -> Tensor:
        return rounded(self.smooth(images.float()))

    def smooth(self, images: Tensor) -> Tensor:
        return self.resampled(images)

    def resampled(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) float -> the same shape and range."""
        draws = torch.rand(5, len(images), device=images.device) * 2 - 1  # in [-1, 1): flip, angle, x, y, zoom
        mirror = torch.where(draws[0] < 2 * self.flip - 1, -1.0, 1.0)
        angle = draws[1] * math.radians(self.degrees)
        shift = draws[2:4] * 2 * self.translate  # the sampling grid spans [-1, 1], two sides long
        zoom = 1 / (1 + draws[4] * self.scale)  # the grid shrinks as the picture grows
        cosine, sine = zoom * angle.cos(), zoom * angle.sin()
        # For each output place, where to look in the input: mirror, then rotate and zoom, then shift.
        rows = [cosine * mirror, -sine, shift[0], sine * mirror, cosine, shift[1]]
        matrices = torch.stack(rows, dim=1).view(-1, 2, 3)
        grid = F.affine_grid(matrices, list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
