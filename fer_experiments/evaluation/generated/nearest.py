"""Pixel features of images, and the search for the nearest image.

A distance to an image is the smaller of those to it and to its mirror image, since a mirrored copy is a copy too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize

SIDE = 32  # of the pixels that are compared
CHUNK = 1024


class References(Protocol):
    """Images among which the nearest is searched; there may be more of them than fit into memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: Tensor) -> "PixelFeatures": ...

    def blocks(self) -> "Iterator[PixelFeatures]":
        """Give the features of all images in order, at most CHUNK images at a time."""


@dataclass(frozen=True)
class PixelFeatures:
    """Pixel features of images and of their mirror images, both (N, D)."""

    plain: Tensor
    mirrored: Tensor

    @classmethod
    def from_plain(cls, plain: Tensor) -> "PixelFeatures":
        """Add the features of the mirror images to plain (N, 1024), which `pixel_features` returns."""
        return cls(plain, plain.unflatten(1, (SIDE, SIDE)).flip(-1).flatten(1))

    def __len__(self) -> int:
        return len(self.plain)

    def __getitem__(self, places: Tensor | slice) -> "PixelFeatures":
        return PixelFeatures(self.plain[places], self.mirrored[places])

    def blocks(self) -> "Iterator[PixelFeatures]":
        return (self[start : start + CHUNK] for start in range(0, len(self), CHUNK))


def pixel_features(images: Tensor) -> Tensor:
    """images (N, C, S, S) uint8 -> (N, 1024) float64: 32 x 32 grayscale pixels with mean 0 and length 1.

    So brightness and contrast don't matter, and the distance of two images lies in [0, 2]. An image without contrast
    is all 0.
    """
    grayscale = images.float().mean(1, keepdim=True)
    small = resize(grayscale, [SIDE, SIDE], InterpolationMode.BILINEAR, antialias=True).flatten(1).double()
    # A length under one gray level is only rounding, which must not be blown up to a direction.
    return torch.nn.functional.normalize(small - small.mean(1, keepdim=True), eps=1.0)


def find_nearest(queries: Tensor, references: References) -> tuple[Tensor, Tensor]:
    """queries (N, D) -> Euclidean distance (N,) to the nearest reference, its place (N,) int64."""
    return _find_nearest(queries, references, torch.full((len(queries),), -1))


def neighbour_distances(places: Tensor, references: References) -> Tensor:
    """places (N,) of references -> distance (N,) of each to the nearest of the remaining references."""
    return _find_nearest(references[places].plain, references, places)[0]


def _find_nearest(queries: Tensor, references: References, excluded: Tensor) -> tuple[Tensor, Tensor]:
    """Do as `find_nearest`, but leave out for each query the reference at its place in `excluded` (N,)."""
    nearest = torch.full((len(queries),), torch.inf, dtype=queries.dtype)
    places = torch.full((len(queries),), -1)
    start = 0
    for block in references.blocks():
        for rows in torch.arange(len(queries)).split(CHUNK):
            distances = _distances(queries[rows], block)
            is_excluded = (excluded[rows] >= start) & (excluded[rows] < start + len(block))
            distances[is_excluded, excluded[rows][is_excluded] - start] = torch.inf
            values, columns = distances.min(1)
            is_nearer = values < nearest[rows]
            nearest[rows[is_nearer]], places[rows[is_nearer]] = values[is_nearer], columns[is_nearer] + start
        start += len(block)
    return nearest, places


def _distances(queries: Tensor, references: PixelFeatures) -> Tensor:
    """queries (N, D), M references -> (N, M): the smaller distance of those to an image and to its mirror image."""
    return torch.minimum(torch.cdist(queries, references.plain), torch.cdist(queries, references.mirrored))
