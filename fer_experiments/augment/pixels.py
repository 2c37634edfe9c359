"""Rounding, changes of light, and rectangles that hide a part of an image."""

import torch
from torch import Tensor


def round_to_bytes(pixels: Tensor) -> Tensor:
    """Floats in about [0, 255] -> the nearest uint8."""
    return pixels.round().clamp(0, 255).to(torch.uint8)


def change_light(images: Tensor, *, brightness: float, contrast: float) -> Tensor:
    """images (B, C, H, W) float -> images of the same shape with other brightness and contrast.

    Pixels are multiplied by 1 - brightness to 1 + brightness, differences from an image's mean by 1 - contrast to
    1 + contrast.
    """
    draws = torch.rand(2, len(images), 1, 1, 1, device=images.device) * 2 - 1
    mean = images.mean((1, 2, 3), keepdim=True)
    return (1 + draws[0] * brightness) * (mean + (1 + draws[1] * contrast) * (images - mean))


def erase_rectangles(images: Tensor, *, probability: float, area: list[float], min_ratio: float) -> Tensor:
    """Fill a rectangle of each image with noise, uniform over all bytes: RE-R of Zhong et al. 2020.

    Args:
        images: (B, C, H, W) float in about [0, 255]; the result has the same shape.
        probability: that an image has such a rectangle.
        area: the smallest and the largest share of the image.
        min_ratio: the smallest ratio of height to width; the largest is its inverse.
    """
    noise = torch.randint(0, 256, images.shape, dtype=torch.uint8, device=images.device)
    return torch.where(_draw_rectangles(images, probability, area, min_ratio), noise.to(images), images)


def _draw_rectangles(images: Tensor, probability: float, area: list[float], min_ratio: float) -> Tensor:
    """images (B, C, H, W) -> (B, 1, H, W) bool, True at the erased pixels. Zhong et al. 2020, Algorithm 1.

    The paper draws a ratio again until the rectangle fits; here it is drawn from the ratios that fit.
    """
    draws = torch.rand(5, len(images), device=images.device)  # whether, area, ratio, top, left
    smallest, largest = area
    share = smallest + draws[1] * (largest - smallest)
    max_log_ratio = -torch.log(share.clamp(min=min_ratio))  # the logarithm is uniform in +- this
    ratio = torch.exp((2 * draws[2] - 1) * max_log_ratio)
    rows = _interval((share * ratio).sqrt(), draws[3], images.shape[2])
    columns = _interval((share / ratio).sqrt(), draws[4], images.shape[3])
    erased = (draws[0] < probability)[:, None, None]
    return (erased & rows[:, :, None] & columns[:, None, :]).unsqueeze(1)


def _interval(length: Tensor, place: Tensor, side: int) -> Tensor:
    """length (B,) as a share of the side -> (B, side) bool, True at the covered pixels.

    place (B,) in [0, 1]: how much of the free rest of the side lies before the interval.
    """
    start = place * (1 - length)
    centres = (torch.arange(side, device=length.device) + 0.5) / side
    return (centres >= start[:, None]) & (centres < (start + length)[:, None])
