"""augment=strong: the camera's place, the light, and something in the way."""

from typing import Annotated

import torch
from pydantic import Field, field_validator
from torch import Tensor

from fer_experiments.augment.traditional import Traditional

Share = Annotated[float, Field(gt=0.0, le=1.0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Strong(Traditional):
    """Traditional, then brightness and contrast, then random erasing.

    Erasing fills a rectangle with noise, uniform over all bytes: RE-R of Zhong et al. 2020.
    """

    brightness: Fraction
    contrast: Fraction
    erase: Fraction
    erase_area: list[Share]
    erase_ratio: Share

    @field_validator("erase_area")
    @classmethod
    def _least_and_most(cls, area: list[float]) -> list[float]:
        if len(area) != 2 or area[0] > area[1]:
            raise ValueError("takes the least and the most share of an image, as [0.02, 0.33]")
        return area

    def smooth(self, images: Tensor) -> Tensor:
        changed = self.lit(self.resampled(images))
        noise = torch.randint(0, 256, images.shape, dtype=torch.uint8, device=images.device)
        return torch.where(self.rectangles(images), noise.to(changed), changed)

    def lit(self, images: Tensor) -> Tensor:
        """images (B, C, H, W) float -> the same shape, in other light."""
        draws = torch.rand(2, len(images), 1, 1, 1, device=images.device) * 2 - 1
        mean = images.mean((1, 2, 3), keepdim=True)
        return (1 + draws[0] * self.brightness) * (mean + (1 + draws[1] * self.contrast) * (images - mean))

    def rectangles(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) bool: True where an image is erased. Zhong et al. 2020, Algorithm 1.

        The ratio is drawn from those with which the area fits into the image, where the paper draws until one does.
        """
        draws = torch.rand(5, len(images), device=images.device)  # whether, area, ratio, top, left
        least, most = self.erase_area
        area = least + draws[1] * (most - least)
        widest = -torch.log(area.clamp(min=self.erase_ratio))  # of the ratio's logarithm, which lies evenly around 0
        ratio = torch.exp((2 * draws[2] - 1) * widest)
        rows = _interval((area * ratio).sqrt(), draws[3], images.shape[2])
        columns = _interval((area / ratio).sqrt(), draws[4], images.shape[3])
        erased = (draws[0] < self.erase)[:, None, None]
        return (erased & rows[:, :, None] & columns[:, None, :]).unsqueeze(1)


def _interval(length: Tensor, place: Tensor, side: int) -> Tensor:
    """length (B,) in shares of the side, place (B,) of the free rest before it -> (B, side) bool: pixels covered."""
    start = place * (1 - length)
    centres = (torch.arange(side, device=length.device) + 0.5) / side
    return (centres >= start[:, None]) & (centres < (start + length)[:, None])
