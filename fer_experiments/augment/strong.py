"""augment=strong: differences in where the camera stands, in the light, and in what hides a part of the object."""

from typing import Annotated

import torch
from pydantic import Field, field_validator
from torch import Tensor

from fer_experiments.augment.traditional import Traditional

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

    def transform_float(self, images: Tensor) -> Tensor:
        changed = self.change_light(self.resample(images))
        noise = torch.randint(0, 256, images.shape, dtype=torch.uint8, device=images.device)
        return torch.where(self.draw_rectangles(images), noise.to(changed), changed)

    def change_light(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) float -> images of the same shape with other brightness and contrast."""
        draws = torch.rand(2, len(images), 1, 1, 1, device=images.device) * 2 - 1
        mean = images.mean((1, 2, 3), keepdim=True)
        return (1 + draws[0] * self.brightness) * (mean + (1 + draws[1] * self.contrast) * (images - mean))

    def draw_rectangles(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) -> (B, 1, H, W) bool, True at the erased pixels. Zhong et al. 2020, Algorithm 1.

        The paper draws a ratio again until the rectangle fits; here it is drawn from the ratios that fit.
        """
        draws = torch.rand(5, len(images), device=images.device)  # whether, area, ratio, top, left
        smallest, largest = self.erase_area
        area = smallest + draws[1] * (largest - smallest)
        max_log_ratio = -torch.log(area.clamp(min=self.erase_ratio))  # the logarithm is uniform in +- this
        ratio = torch.exp((2 * draws[2] - 1) * max_log_ratio)
        rows = _interval((area * ratio).sqrt(), draws[3], images.shape[2])
        columns = _interval((area / ratio).sqrt(), draws[4], images.shape[3])
        erased = (draws[0] < self.erase)[:, None, None]
        return (erased & rows[:, :, None] & columns[:, None, :]).unsqueeze(1)


def _interval(length: Tensor, place: Tensor, side: int) -> Tensor:
    """length (B,) as a share of the side -> (B, side) bool, True at the covered pixels.

    place (B,) in [0, 1]: how much of the free rest of the side lies before the interval.
    """
    start = place * (1 - length)
    centres = (torch.arange(side, device=length.device) + 0.5) / side
    return (centres >= start[:, None]) & (centres < (start + length)[:, None])
