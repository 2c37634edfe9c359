"""Are generated images alike? Their mean distance from each other, against that of real ones."""

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 1024


@dataclass(frozen=True)
class Diversity:
    """ratio: of the mean distances of two images, generated over real; 1 for equal distributions, 0 for one image."""

    ratio: float
    generated: float
    real: float


def diversity(generated: Tensor, real: Tensor) -> Diversity:
    """features (N, D), (M, D) of one class. Raises ValueError for fewer than 2 images of a kind."""
    if min(len(generated), len(real)) < 2:
        raise ValueError(f"{len(generated)} generated and {len(real)} real images: distances need 2 of each")
    made, found = mean_distance(generated), mean_distance(real)
    return Diversity(made / max(found, 1e-12), made, found)


def mean_distance(features: Tensor) -> float:
    """(N, D) -> mean Euclidean distance over all pairs."""
    features, count = features.double(), len(features)  # in float32 an image would lie at some distance from its copy
    total = sum(float(torch.cdist(chunk, features).sum()) for chunk in features.split(CHUNK))
    return total / (count * (count - 1))
