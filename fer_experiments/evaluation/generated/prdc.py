"""Are generated images like real ones (precision, density), and do they cover all kinds of them (recall, coverage)?

The distribution of a set is represented by a ball around each image that reaches to its k-th neighbour in the set.
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
    """Precision, recall and coverages are shares in [0, 1]; density has expectation 1 for equal distributions.

    expected_coverage: the coverage by as many images of the real distribution itself; real, generated: how many images
    each set has.
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

    precision: the share of generated images inside a real ball; recall: the share of real images inside a generated
    ball (Kynkaanniemi et al. 2019); density: how many real balls hold a generated image in the mean, over k; coverage:
    the share of real balls that hold a generated image (Naeem et al. 2020). Raises ValueError for k images or fewer in
    a set.
    """
    n, m = len(real), len(generated)
    if min(n, m) <= k:
        raise ValueError(f"{n} real and {m} generated images: precision and recall need more than {k} of each")
    real, generated = real.double(), generated.double()
    in_real_ball = is_inside(generated, real, ball_radii(real, k))  # (M, N)
    in_generated_ball = is_inside(real, generated, ball_radii(generated, k))  # (N, M)
    return PRDC(
        precision=_share(in_real_ball.any(1)),
        recall=_share(in_generated_ball.any(1)),
        density=float(in_real_ball.sum()) / (k * m),
        coverage=_share(in_real_ball.any(0)),
        expected_coverage=expected_coverage(n, m, k),
        real=n,
        generated=m,
    )


def expected_coverage(real: int, generated: int, k: int) -> float:
    """Return the expected coverage of N real images by M more images of their distribution.

    1 - (N-1)...(N-k) / ((M+N-1)...(M+N-k)), the probability that the k images nearest to a real one are not all
    real (Naeem et al. 2020).
    """
    return 1 - math.prod((real - i) / (generated + real - i) for i in range(1, k + 1))


def ball_radii(features: Tensor, k: int) -> Tensor:
    """features (N, D) -> distance (N,) of each image to its k-th neighbour, itself not counted."""
    distances, _ = NearestNeighbors(n_neighbors=k).fit(features.numpy()).kneighbors()
    return torch.from_numpy(distances[:, -1])


def is_inside(points: Tensor, centres: Tensor, radii: Tensor) -> Tensor:
    """points (P, D), balls around centres (C, D) of radii (C,) -> whether each point is in each ball (P, C) bool."""
    return torch.cat([torch.cdist(chunk, centres) <= radii for chunk in points.split(CHUNK)])


def _share(values: Tensor) -> float:
    return float(values.double().mean())
