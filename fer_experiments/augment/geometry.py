"""Changes of the place of pixels: flip, rotation, shift and zoom in one bilinear resampling, and crops."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def resample(images: Tensor, *, flip: float, degrees: float, translate: float, scale: float) -> Tensor:
    """images (B, C, S, S) float -> resampled images of the same shape and range, each with its own draws.

    Pixels from outside an image repeat its border. The result is float32 under autocast as well.

    Args:
        images: any range.
        flip: the probability of a mirrored image.
        degrees: images are turned by up to so many, both ways.
        translate: images are shifted by up to this share of their side along each axis.
        scale: images are zoomed by 1 - scale to 1 + scale.
    """
    draws = torch.rand(5, len(images), device=images.device) * 2 - 1  # in [-1, 1): flip, angle, x, y, zoom
    signs = torch.where(draws[0] < 2 * flip - 1, -1.0, 1.0)
    angle = draws[1] * math.radians(degrees)
    shift = draws[2:4] * 2 * translate  # the sampling grid spans [-1, 1], two sides long
    zoom = 1 / (1 + draws[4] * scale)  # the grid shrinks as the picture grows
    cosine, sine = zoom * angle.cos(), zoom * angle.sin()
    # The grid says for each output place where to look in the input: flip, then rotate and zoom, then shift.
    rows = [cosine * signs, -sine, shift[0], sine * signs, cosine, shift[1]]
    grid = compute_grid(torch.stack(rows, dim=1).view(-1, 2, 3), images.shape[-1])
    return F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)


def compute_grid(matrices: Tensor, side: int) -> Tensor:
    """matrices (B, 2, 3) -> grid (B, side, side, 2), the numbers of torch's affine_grid with align_corners=False.

    That multiplies matrices, which autocast does in bfloat16 and TF32 with 10 bits: off by up to 1.5 pixels of 100.
    """
    centres = torch.linspace(-1, 1, side, device=matrices.device) * (side - 1) / side
    x, y = centres.view(1, 1, side, 1), centres.view(1, side, 1, 1)
    columns = matrices.view(-1, 1, 1, 2, 3)
    return x * columns[..., 0] + y * columns[..., 1] + columns[..., 2]


def crop_padded(images: Tensor, padding: int) -> Tensor:
    """images (B, C, S, S) -> crops of the same shape from the images with a border of zeros, each with its own draw.

    padding: the width of the border in pixels.
    """
    batch, channels, side, _ = images.shape
    padded = F.pad(images, (padding,) * 4)
    offsets = torch.randint(2 * padding + 1, (2, batch, 1), device=images.device)
    rows, columns = offsets + torch.arange(side, device=images.device)  # (B, S) each
    image, channel = (torch.arange(count, device=images.device) for count in (batch, channels))
    return padded[image[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None]]


def flip_at_random(images: Tensor, probability: float) -> Tensor:
    """images (B, C, S, S) -> the images, of which each is mirrored with this probability."""
    mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < probability
    return torch.where(mirrored, images.flip(3), images)
