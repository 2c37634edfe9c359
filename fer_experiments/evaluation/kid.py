"""Kernel inception distance of two sets of features (Binkowski et al. 2018): how far generated images are from real."""

import warnings

import torch
from torch import Tensor, nn
from torchmetrics.image.kid import KernelInceptionDistance


class _Features(nn.Module):
    """Features as they are, where torchmetrics would compute them from images."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.num_features = count

    def forward(self, features: Tensor) -> Tensor:
        return features


def kernel_inception_distance(
    first: Tensor, second: Tensor, subsets: int = 100, subset_size: int = 200, seed: int = 0
) -> tuple[float, float]:
    """features (N, D) and (M, D) -> mean and standard deviation over random subsets of the squared MMD, unbiased.

    With the polynomial kernel (x . y / D + 1)^3; 0 in expectation for two samples of one distribution, and so also
    below 0 at times. Raises ValueError where a set is smaller than subset_size.
    """
    if min(len(first), len(second)) < subset_size:
        raise ValueError(f"{len(first)} and {len(second)} images: KID needs subset_size={subset_size} of each")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "will save all extracted features in buffer": they are here already
        metric = KernelInceptionDistance(_Features(first.shape[1]), subsets=subsets, subset_size=subset_size)
    metric.update(first, real=True)
    metric.update(second, real=False)
    with torch.random.fork_rng(devices=[]):  # torchmetrics draws the subsets from the global generator
        torch.manual_seed(seed)
        mean, deviation = metric.compute()
    return float(mean), float(deviation)
