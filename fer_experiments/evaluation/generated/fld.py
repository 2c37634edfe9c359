"""Feature likelihood divergence (Jiralerspong et al. 2023): fidelity, diversity and novelty of generated images.

Generated images are the centres of a mixture of Gaussians whose widths are fitted to the training images; the measure
is how unlikely held-out images then are. An image that copies a training image gets a width near 0 and explains nothing
else.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

MIN_IMAGES = 20  # generated and held-out ones, and in each half of the training images
MAX_IMAGES = 2000  # of each set, whose distances are in memory
LEARNING_RATE, STEPS, PATIENCE, TOLERANCE = 0.5, 50, 5, 5e-4  # of the authors' code, github.com/marcojira/fld
CENTRE_SHRINKAGE = 0.9  # of the distance to the training images' mean, around which one more Gaussian lies
LOG_WIDTH_LIMIT = 40.0


@dataclass(frozen=True)
class FLD:
    """The divergences, each 100 times the difference of two negative log-likelihoods for one feature.

    Attributes:
        value: of the held-out images, under the generated images as centres and under as many training images, with
            widths fitted to the remaining ones.
            It is about 0 for images as good as real ones, larger for worse ones and for copies.
        gap: of the training images and the held-out images, both under the generated images. It is negative if they
            are nearer to training images than to held-out ones; it says little in features of a network that was
            trained on the training images.
        train, held_out, generated: how many images of each set were used.
    """

    value: float
    gap: float
    train: int
    held_out: int
    generated: int


def feature_likelihood_divergence(train: Tensor, held_out: Tensor, generated: Tensor) -> FLD:
    """features (N, D), (M, D), (L, D) -> FLD of the L generated images, of the first N / 2 if there are more.

    So both mixtures have as many centres, without which new real images would have another value than 0; the authors'
    10,000 generated images are fewer than half of their training images. Of each set the first MAX_IMAGES are used.
    Features are scaled by the mean and the standard deviation of the held-out ones; those that are constant there are
    left out. Raises ValueError for fewer than MIN_IMAGES held-out or generated images, or training images in a half.
    """
    if min(len(train) // 2, len(held_out), len(generated)) < MIN_IMAGES:
        raise ValueError(
            f"{len(train)} training, {len(held_out)} held-out and {len(generated)} generated images; "
            f"{2 * MIN_IMAGES}, {MIN_IMAGES} and {MIN_IMAGES} are needed"
        )
    train, held_out, generated = (features[:MAX_IMAGES].double() for features in (train, held_out, generated))
    varies = held_out.std(0) > 0
    if not varies.any():
        raise ValueError("no feature of the held-out images varies")
    mean, std = held_out.mean(0), held_out.std(0)
    train, held_out, generated = (((features - mean) / std)[:, varies] for features in (train, held_out, generated))
    count = min(len(train) // 2, len(generated))
    generated = generated[:count]
    reference = _Mixture(train[:count], train[count:])
    mixture = _Mixture(generated, train)
    unlikeliness = mixture.negative_log_likelihood(held_out)
    return FLD(
        value=100 * (unlikeliness - reference.negative_log_likelihood(held_out)),
        gap=100 * (mixture.negative_log_likelihood(train) - unlikeliness),
        train=len(train),
        held_out=len(held_out),
        generated=len(generated),
    )


class _Mixture:
    """A mixture of Gaussians, one around each of the centres (L, D), whose widths are fitted to points (N, D)."""

    def __init__(self, centres: Tensor, points: Tensor) -> None:
        self.centres = centres
        self.log_widths = _fit_log_widths(_squared_distances(points, centres), points)

    def negative_log_likelihood(self, points: Tensor) -> float:
        """points (N, D) -> its mean over points, for one feature."""
        densities = _log_densities(_squared_distances(points, self.centres), self.log_widths, points.shape[1])
        return -float((densities.logsumexp(1) - math.log(len(self.centres))).mean()) / points.shape[1]


def _fit_log_widths(distances: Tensor, points: Tensor) -> Tensor:
    """Return the logarithms (L,) of the variances under which `points` (N, D) are likeliest.

    distances (N, L) are the squared ones to the centres. One more Gaussian around the mean of the points, of weight 1,
    keeps every point from being impossible.
    """
    features = points.shape[1]
    log_widths = ((distances.min(0).values + 1e-3) / features).log().requires_grad_()
    log_width_of_mean = torch.zeros(1, dtype=points.dtype, requires_grad=True)
    to_mean = CENTRE_SHRINKAGE**2 * (points - points.mean(0)).square().sum(1, keepdim=True)
    optimizer = torch.optim.Adam([log_widths, log_width_of_mean], lr=LEARNING_RATE)
    losses: list[float] = []
    with torch.enable_grad():
        for step in range(STEPS):
            densities = _log_densities(distances, log_widths, features) - math.log(distances.shape[1])
            of_mean = _log_densities(to_mean, log_width_of_mean, features)
            loss = -torch.cat([densities, of_mean], dim=1).logsumexp(1).mean() / features
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            log_widths.data.clamp_(-LOG_WIDTH_LIMIT, LOG_WIDTH_LIMIT)
            losses.append(loss.item())
            if step > PATIENCE and max(abs(losses[-1] - earlier) for earlier in losses[-PATIENCE:]) < TOLERANCE:
                break
    return log_widths.detach()


def _squared_distances(points: Tensor, centres: Tensor) -> Tensor:
    """points (N, D), centres (L, D) -> (N, L)"""
    return torch.cdist(points, centres).square()


def _log_densities(distances: Tensor, log_widths: Tensor, features: int) -> Tensor:
    """squared distances (N, L), log variances (L,) -> the logarithms (N, L) of the Gaussians' densities."""
    return -0.5 * (distances / log_widths.exp() + features * (log_widths + math.log(2 * math.pi)))
