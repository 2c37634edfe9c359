"""Kernel inception distance of two sets of features (Binkowski et al. 2018): how far generated images are from real."""

from dataclasses import dataclass

import torch
from scipy.stats import t
from torch import Tensor

MIN_IMAGES = 3  # of each set: the jackknife leaves one out, and two are left for a pair
CHUNK = 1024
LEVEL = 0.95


@dataclass(frozen=True)
class KID:
    """value, low, high: the squared MMD with its 95% interval; first, second: how many images each set has."""

    value: float
    low: float
    high: float
    first: int
    second: int


def kernel_inception_distance(first: Tensor, second: Tensor) -> KID:
    """features (N, D) and (M, D) -> the unbiased squared MMD over all images, with the kernel (x . y / D + 1)^3.

    It is 0 in expectation for two samples of one distribution, and so also below 0 at times.
    The interval is that of the two-sample jackknife (Arvesen 1969) with Student's t and min(N, M) - 1 degrees of
    freedom: each image is left out in turn, which the row sums of the kernel matrices give in closed form. Raises
    ValueError for fewer than MIN_IMAGES images in a set.
    """
    n, m = len(first), len(second)
    if min(n, m) < MIN_IMAGES:
        raise ValueError(f"{n} and {m} images: KID needs {MIN_IMAGES} of each")
    first, second = first.double(), second.double()
    rows_first, rows_second = _row_sums(first), _row_sums(second)
    rows_between, columns_between = _row_sums(first, second), _row_sums(second, first)
    within_first, within_second, between = rows_first.sum(), rows_second.sum(), rows_between.sum()
    value = _squared_mmd(within_first, within_second, between, n, m)
    without_first = _squared_mmd(within_first - 2 * rows_first, within_second, between - rows_between, n - 1, m)
    without_second = _squared_mmd(within_first, within_second - 2 * rows_second, between - columns_between, n, m - 1)
    jackknife = (without_first, without_second)
    variance = sum(((len(values) - 1) * values.var(correction=0) for values in jackknife), value * 0)
    half = float(t.ppf((1 + LEVEL) / 2, min(n, m) - 1) * variance.sqrt())
    return KID(float(value), float(value) - half, float(value) + half, n, m)


def _squared_mmd(within_first: Tensor, within_second: Tensor, between: Tensor, n: int, m: int) -> Tensor:
    """Return the squared MMD from sums of the kernel over pairs of different images, within and between the sets."""
    return within_first / (n * (n - 1)) + within_second / (m * (m - 1)) - 2 * between / (n * m)


def _row_sums(rows: Tensor, columns: Tensor | None = None) -> Tensor:
    """rows (N, D), columns (M, D) -> sums (N,) of the kernel of each row with all columns, or with all other rows."""
    partners = rows if columns is None else columns
    sums = torch.cat([_kernel(chunk @ partners.T, rows.shape[1]).sum(1) for chunk in rows.split(CHUNK)])
    return sums if columns is not None else sums - _kernel(rows.square().sum(1), rows.shape[1])


def _kernel(products: Tensor, features: int) -> Tensor:
    """Return the kernel in the memory of the products, because there may be CHUNK rows of many of them."""
    return products.div_(features).add_(1).pow_(3)
