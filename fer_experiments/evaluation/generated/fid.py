"""Fréchet inception distance of two sets of features (Heusel et al. 2017)."""

import warnings
from dataclasses import dataclass

from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance


@dataclass(frozen=True)
class FID:
    """value: the distance of Gaussians fitted to the features; first, second: how many images each set has."""

    value: float
    first: int
    second: int


class _PassFeatures(nn.Module):
    """The network that torchmetrics expects to compute features from images; it returns features unchanged."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(first: Tensor, second: Tensor) -> FID:
    """features (N, D), (M, D) -> |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), which few images bias upwards.

    Raises ValueError unless N and M exceed D, since the covariance of fewer images does not have full rank.
    """
    n, m, count = len(first), len(second), first.shape[1]
    if min(n, m) <= count:
        raise ValueError(f"{n} and {m} images: FID of {count} features needs more than {count} of each; see KID")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the memory for features, and of a custom network
        metric = FrechetInceptionDistance(_PassFeatures(count)).set_dtype(first.double().dtype)
    metric.update(first.double(), real=True)
    metric.update(second.double(), real=False)
    return FID(float(metric.compute()), n, m)
