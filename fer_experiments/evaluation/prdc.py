"""Are generated images like real ones (precision, density), and are all kinds of real ones there (recall, coverage)?

Balls about each image that reach to its k-th neighbour of the same set stand for the set's distribution.
"""

import math
from dataclasses import dataclass

import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

NEIGHBOURS = 5
CHUNK = 1024


@dataclass(frozen=True)
class PRDC:
    """All are shares in [0, 1], but density, which has expectation 1 for equal distributions.

    expected_coverage: of as many images of the real distribution itself; real, generated: images of each set.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    expected_coverage: float
    real: int
    generated: int


def precision_recall_density_coverage(real: Tensor, generated: Tensor, k: int = NEIGHBOURS) -> PRDC:
    """features (N, D), (M, D) -> measures of M generated images against N real ones.

    precision: generated images inside a real ball; recall: real images inside a generated ball (Kynkaanniemi et al.
    2019); density: real balls about a generated image, over k; coverage: real balls with a
    generated image inside (Naeem et al. 2020). Raises ValueError for k images or fewer in a set.
    """
    n, m = len(real), len(generated)
    if min(n, m) <= k:
        raise ValueError(f"{n} real and {m} generated images: precision and recall need more than {k} of each")
    real, generated = real.double(), generated.double()
    of_real = inside(generated, real, ball_radii(real, k))  # (M, N)
    of_generated = inside(real, generated, ball_radii(generated, k))  # (N, M)
    return PRDC(
        precision=_share(of_real.any(1)),
        recall=_share(of_generated.any(1)),
        density=float(of_real.sum()) / (k * m),
        coverage=_share(of_real.any(0)),
        expected_coverage=expected_coverage(n, m, k),
        real=n,
        generated=m,
    )


def expected_coverage(real: int, generated: int, k: int) -> float:
    """Coverage of N real images by M more of their distribution.

    1 - (N-1)...(N-k) / ((M+N-1)...(M+N-k)): not all of the k nearest are real ones (Naeem et al. 2020).
    """
    return 1 - math.prod((real - i) / (generated + real - i) for i in range(1, k + 1))


def ball_radii(features: Tensor, k: int) -> Tensor:
    """(N, D) -> distance (N,) of each to its k-th neighbour, itself not counted."""
    distances, _ = NearestNeighbors(n_neighbors=k).fit(features.numpy()).kneighbors()
    return torch.from_numpy(distances[:, -1])


def inside(points: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
    """points (P, D), balls about centres (C, D) of radii (C,) -> whether each point is in each ball (P, C) bool."""
    return torch.cat([torch.cdist(chunk, centres) <= radii for chunk in points.split(CHUNK)])


def _share(which: Tensor) -> float:
    return float(which.double().mean())
