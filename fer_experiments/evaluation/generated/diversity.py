"""Are generated images too much alike? Their mean distance from each other, against that of real images."""

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 1024


@dataclass(frozen=True)
class Diversity:
    """Mean distances of two images.

    ratio: generated / real. It is 1 for equal distributions, and 0 if all generated images are the same.
    """

    ratio: float
    generated: float
    real: float


def diversity(generated: Tensor, real: Tensor) -> Diversity:
    """features (N, D), (M, D) of one class -> Diversity. Raises ValueError for fewer than 2 images in a set."""
    if min(len(generated), len(real)) < 2:
        raise ValueError(f"{len(generated)} generated and {len(real)} real images: distances need 2 of each")
    of_generated, of_real = mean_distance(generated), mean_distance(real)
    return Diversity(of_generated / max(of_real, 1e-12), of_generated, of_real)


def mean_distance(features: Tensor) -> float:
    """features (N, D) -> mean Euclidean distance over all pairs."""
    features, count = features.double(), len(features)  # in float32 an image has some distance from its copy
    total = sum(float(torch.cdist(chunk, features).sum()) for chunk in features.split(CHUNK))
    return total / (count * (count - 1))
