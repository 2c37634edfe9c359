"""Has the GAN memorised images? Distances of generated images to the nearest real one, compared with real images'.

Distances are those of evaluation/generated/nearest.py: in small grayscale pixels, and to mirror images too.
"""

import math
from dataclasses import dataclass

import torch
from scipy.stats import betabinom, mannwhitneyu
from torch import Tensor

from fer_experiments.evaluation.generated.nearest import (
    PixelFeatures,
    References,
    find_nearest,
    neighbour_distances,
)

EXPECTED_SHARE = 0.05  # of real images that are nearer than the threshold; `expected_share` for few images
MIN_REAL_IMAGES = 20  # fewer images have no 5% quantile
UNLIKELY = 0.01  # a share passes if chance gives one as large with at least this probability
IDENTICAL = 1e-6  # two images have the same pixels if their distance is less; this is above rounding


@dataclass(frozen=True)
class Memorisation:
    """How near generated images are to training images, compared with held-out real images.

    Attributes:
        share: of the generated images that are nearer to a training image than `expected` of the held-out images are.
            It is `expected` for a GAN that draws from the real distribution, 1 for one that copies, and 0 for one far
            from real images. A blurred image is near to many and raises it too, so that the pairs must be looked at.
        expected: EXPECTED_SHARE.
        threshold: the distance that counts as near.
        chance: the probability of such a share or a larger one if the GAN draws from the real distribution.
        ct: C_T of Meehan et al. 2020 in one cell, the z of the Mann-Whitney test of generated against held-out
            distances to training images. It is about standard normal for a GAN that draws from the real distribution,
            and negative for one that copies.
        authenticity: the share of generated images that are farther from their nearest training image than that image
            is from its own nearest training image (Alaa et al. 2022). It is 0 for copies.
        real_authenticity: the same share of the held-out images.
    """

    share: float
    expected: float
    threshold: float
    chance: float
    ct: float
    authenticity: float
    real_authenticity: float


@dataclass(frozen=True)
class HeldOutCopies:
    """How many generated images copy held-out images, which the GAN must not have seen.

    Attributes:
        share: of the generated images that are nearer to a held-out image than `expected` of the training images are,
            and nearer to it than to any training image. It is at most `expected` for a GAN that has not seen the
            held-out images.
        expected: EXPECTED_SHARE, or more if there are few training images.
        threshold: the distance that counts as near.
        chance: the probability of such a share or a larger one if the GAN draws from the real distribution.
        images: how many held-out images there are.
        identical: how many of the generated images have the pixels of a held-out image, and of no training image.
    """

    share: float
    expected: float
    threshold: float
    chance: float
    images: int
    identical: int = 0


def memorisation(generated: PixelFeatures, train: References, held_out: PixelFeatures) -> Memorisation:
    """Compare the distances of generated and held-out images to the training images, all of one class.

    Raises ValueError if there are fewer than MIN_REAL_IMAGES held-out images.
    """
    if len(held_out) < MIN_REAL_IMAGES:
        raise ValueError(f"{len(held_out)} held-out images of the class; {MIN_REAL_IMAGES} are needed")
    real_distances, real_places = find_nearest(held_out.plain, train)
    threshold = low_quantile(real_distances)
    distances, places = find_nearest(generated.plain, train)
    is_near = distances < threshold
    return Memorisation(
        share=_share(is_near),
        expected=EXPECTED_SHARE,
        threshold=threshold,
        chance=probability_of_share(is_near, len(held_out)),
        ct=copying_z(distances, real_distances),
        authenticity=_share(distances > neighbour_distances(places, train)),
        real_authenticity=_share(real_distances > neighbour_distances(real_places, train)),
    )


def held_out_copies(generated: PixelFeatures, train: References, held_out: PixelFeatures) -> HeldOutCopies:
    """Compare the distances of generated and training images to the held-out images, all of one class.

    Raises ValueError if so few images could not show that all generated ones are copies, unless some are identical.
    """
    distances = find_nearest(generated.plain, held_out)[0]
    is_nearer = distances < find_nearest(generated.plain, train)[0]
    is_identical = is_nearer & (distances < IDENTICAL) & generated.plain.any(1)  # an image without contrast is no copy
    threshold = low_quantile(torch.cat([find_nearest(block.plain, held_out)[0] for block in train.blocks()]))
    is_near = is_nearer & (distances < threshold)
    shows_copies = len(train) > 1 and probability_of_share(torch.ones_like(is_near), len(train)) < UNLIKELY
    if not shows_copies and not is_identical.any():
        raise ValueError(f"{len(train)} training and {len(generated)} generated images of the class are too few")
    return HeldOutCopies(
        share=_share(is_near),
        expected=expected_share(len(train)),
        threshold=threshold,
        chance=probability_of_share(is_near, len(train)),
        images=len(held_out),
        identical=int(is_identical.sum()),
    )


def expected_share(count: int) -> float:
    """Return the probability with which one more draw lies below the `low_quantile` of `count` draws.

    That is EXPECTED_SHARE, or for fewer than MIN_REAL_IMAGES draws the probability that it is the lowest of all.
    """
    return max(EXPECTED_SHARE, 1 / (count + 1))


def low_quantile(values: Tensor) -> float:
    """Return the number below which one more draw of values (N,) lies with probability expected_share(N)."""
    ordered = values.sort().values
    place = max(0.0, expected_share(len(ordered)) * (len(ordered) + 1) - 1)
    low = int(place)
    return float(torch.lerp(ordered[low], ordered[min(low + 1, len(ordered) - 1)], place - low))


def probability_of_share(is_near: Tensor, real_count: int) -> float:
    """Return the probability that chance alone would bring as many near images, or more.

    is_near (N,) bool says which of N draws lie below the `low_quantile` of `real_count` other draws of the same
    distribution. The share of the distribution below an order statistic has a beta distribution.
    """
    below = expected_share(real_count) * (real_count + 1)
    return float(betabinom.sf(int(is_near.sum()) - 1, len(is_near), below, real_count + 1 - below))


def copying_z(generated: Tensor, held_out: Tensor) -> float:
    """Distances (N,) and (M,) to training images -> z of Mann-Whitney's U; negative if generated images are nearer."""
    n, m = len(generated), len(held_out)
    u = float(mannwhitneyu(generated.numpy(), held_out.numpy(), method="asymptotic").statistic)
    return (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)


def _share(values: Tensor) -> float:
    return float(values.double().mean())
