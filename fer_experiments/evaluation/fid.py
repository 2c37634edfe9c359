"""Frechet distance of two sets of features (Heusel et al. 2017), where there are images enough for it."""

import warnings
from dataclasses import dataclass

from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance


@dataclass(frozen=True)
class FID:
    """value: of Gaussians fitted to the features; first, second: images of each set."""

    value: float
    first: int
    second: int


class _AsTheyAre(nn.Module):
    """Features as they are, where torchmetrics would compute them from images."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.num_features = count

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(first: Tensor, second: Tensor) -> FID:
    """features (N, D), (M, D) -> |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), biased upwards by few images.

    Raises ValueError unless N and M exceed D: a covariance of fewer images has no full rank.
    """
    n, m, count = len(first), len(second), first.shape[1]
    if min(n, m) <= count:
        raise ValueError(f"{n} and {m} images: FID of {count} features needs more than {count} of each; see KID")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "will save all extracted features in buffer", and that the module is ours
        metric = FrechetInceptionDistance(_AsTheyAre(count)).set_dtype(first.double().dtype)
    metric.update(first.double(), real=True)
    metric.update(second.double(), real=False)
    return FID(float(metric.compute()), n, m)
