"""Kernel inception distance of two sets of features (Binkowski et al. 2018): how far generated images are from real."""

from dataclasses import dataclass

import torch
from scipy.stats import t
from torch import Tensor

LEAST = 3  # images of each set: the jackknife leaves one out, and a pair has two
CHUNK = 1024
LEVEL = 0.95


@dataclass(frozen=True)
class KID:
    """value: squared MMD with its 95 % interval; first, second: images of each set."""

    value: float
    low: float
    high: float
    first: int
    second: int


def kernel_inception_distance(first: Tensor, second: Tensor) -> KID:
    """features (N, D) and (M, D) -> the unbiased squared MMD over all images, with the kernel (x . y / D + 1)^3.

    0 in expectation for two samples of one distribution, and so also below 0 at times.
    The interval is the two-sample jackknife's (Arvesen 1969), Student's t with min(N, M) - 1 degrees of freedom: each
    image is left out in turn, which the kernel matrices' row sums give in closed form. Raises ValueError for fewer
    than LEAST images in a set.
    """
    n, m = len(first), len(second)
    if min(n, m) < LEAST:
        raise ValueError(f"{n} and {m} images: KID needs {LEAST} of each")
    first, second = first.double(), second.double()
    within_first, within_second = _row_sums(first), _row_sums(second)
    across_first, across_second = _row_sums(first, second), _row_sums(second, first)
    own, other, between = within_first.sum(), within_second.sum(), across_first.sum()
    value = _squared_mmd(own, other, between, n, m)
    without_first = _squared_mmd(own - 2 * within_first, other, between - across_first, n - 1, m)
    without_second = _squared_mmd(own, other - 2 * within_second, between - across_second, n, m - 1)
    variance = sum(((len(left) - 1) * left.var(correction=0) for left in (without_first, without_second)), value * 0)
    half = float(t.ppf((1 + LEVEL) / 2, min(n, m) - 1) * variance.sqrt())
    return KID(float(value), float(value) - half, float(value) + half, n, m)


def _squared_mmd(own: Tensor, other: Tensor, between: Tensor, n: int, m: int) -> Tensor:
    """Sums of the kernel over pairs of unlike images: within N, within M, and between them."""
    return own / (n * (n - 1)) + other / (m * (m - 1)) - 2 * between / (n * m)


def _row_sums(rows: Tensor, columns: Tensor | None = None) -> Tensor:
    """Sum (N,) of the kernel of each row with all columns; without columns, with all other rows."""
    other = rows if columns is None else columns
    sums = torch.cat([_kernel(chunk @ other.T, rows.shape[1]).sum(1) for chunk in rows.split(CHUNK)])
    return sums if columns is not None else sums - _kernel(rows.square().sum(1), rows.shape[1])


def _kernel(products: Tensor, features: int) -> Tensor:
    return (products / features + 1) ** 3
