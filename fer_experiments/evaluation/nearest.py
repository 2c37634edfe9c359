"""Has the GAN learnt images by heart? Distances of generated images to the nearest real one, held against real ones'.

In small grey pixels, and to mirror images too: a mirrored copy is a copy.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from scipy.stats import betabinom, mannwhitneyu
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize

SIDE = 32
EXPECTED = 0.05  # the share of real images that lie beyond a threshold
FEWEST_HELD_OUT = 20  # of fewer there is no 5 % quantile
CHUNK = 1024


class References(Protocol):
    """Images that others are held against, of which there may be more than fit into memory."""

    def __len__(self) -> int: ...

    def __getitem__(self, places: Tensor) -> "Features": ...

    def blocks(self) -> "Iterator[Features]":
        """The features of all, in order, CHUNK images at a time."""


@dataclass(frozen=True)
class Features:
    """Of images and of their mirror images, both (N, D)."""

    plain: Tensor
    mirrored: Tensor

    @classmethod
    def of_pixels(cls, plain: Tensor) -> "Features":
        """plain (N, 1024), as pixel_features makes them; a mirrored image has these mirrored."""
        return cls(plain, plain.unflatten(1, (SIDE, SIDE)).flip(-1).flatten(1))

    def __len__(self) -> int:
        return len(self.plain)

    def __getitem__(self, places: Tensor | slice) -> "Features":
        return Features(self.plain[places], self.mirrored[places])

    def blocks(self) -> "Iterator[Features]":
        return (self[start : start + CHUNK] for start in range(0, len(self), CHUNK))


@dataclass(frozen=True)
class Memorisation:
    """share: of the generated images that lie nearer to a training image than EXPECTED of the held-out real ones do.

    EXPECTED for a GAN that draws from the real distribution, 1 for one that copies, 0 for one far from real images. A
    blurred image lies near to many and raises it too: the pairs must be looked at. chance: the probability of so large
    a share where the GAN draws from the real distribution.
    ct: C_T of Meehan et al. 2020 in one cell, the z of the Mann-Whitney test of generated against held-out distances to
    training images; about normal for a GAN that draws from the real distribution, negative for one that copies.
    authenticity: the share of generated images that lie farther from their nearest training image than that one from
    its nearest other (Alaa et al. 2022); 0 for copies; real_authenticity: the same of held-out images.
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
    """share: of the generated images that lie nearer to a held-out image than EXPECTED of the training images do, and
    nearer than to any training image.

    EXPECTED at most for a GAN that has not seen the held-out images, of which there are `images`; chance: as above.
    """

    share: float
    expected: float
    threshold: float
    chance: float
    images: int


def pixel_features(images: Tensor) -> Tensor:
    """images (N, C, S, S) uint8 -> (N, 1024) float64: 32 x 32 grey pixels with mean 0 and length 1.

    So brightness and contrast don't matter, and a distance of two lies in [0, 2] (an image without contrast is all 0).
    """
    grey = images.float().mean(1, keepdim=True)
    small = resize(grey, [SIDE, SIDE], InterpolationMode.BILINEAR, antialias=True).flatten(1).double()
    # Under one grey level in all there is only rounding, which is not to be blown up to a direction.
    return torch.nn.functional.normalize(small - small.mean(1, keepdim=True), eps=1.0)


def nearest(queries: Tensor, references: References) -> tuple[Tensor, Tensor]:
    """queries (N, D) -> Euclidean distance (N,) to the nearest reference or its mirror image, its place (N,) int64."""
    return _nearest(queries, references, torch.full((len(queries),), -1))


def nearest_other(places: Tensor, references: References) -> Tensor:
    """Distance (N,) of the references at `places` (N,) to the nearest other one or its mirror image."""
    return _nearest(references[places].plain, references, places)[0]


def _nearest(queries: Tensor, references: References, own: Tensor) -> tuple[Tensor, Tensor]:
    """`nearest`; the references at the places `own` (N,) are not looked at, each by its query."""
    least, places = torch.full((len(queries),), torch.inf, dtype=queries.dtype), torch.full((len(queries),), -1)
    start = 0
    for block in references.blocks():
        for which in torch.arange(len(queries)).split(CHUNK):
            distances = _distances(queries[which], block)
            hidden = (own[which] >= start) & (own[which] < start + len(block))
            distances[hidden, own[which][hidden] - start] = torch.inf
            values, found = distances.min(1)
            nearer = values < least[which]
            least[which[nearer]], places[which[nearer]] = values[nearer], found[nearer] + start
        start += len(block)
    return least, places


def _distances(queries: Tensor, references: Features) -> Tensor:
    """(N, M): the smaller of those to an image and to its mirror image."""
    return torch.minimum(torch.cdist(queries, references.plain), torch.cdist(queries, references.mirrored))


def low_quantile(values: Tensor) -> float:
    """The number below which one more draw of values (N,), N of FEWEST_HELD_OUT or more, lies with p = EXPECTED."""
    ordered = values.sort().values
    place = EXPECTED * (len(ordered) + 1) - 1
    low = int(place)
    return float(torch.lerp(ordered[low], ordered[low + 1], place - low))


def memorisation(generated: Features, train: References, held_out: Features) -> Memorisation:
    """Of one class. Raises ValueError where held-out images are too few for a 5 % quantile."""
    if len(held_out) < FEWEST_HELD_OUT:
        raise ValueError(f"{len(held_out)} held-out images of the class; {FEWEST_HELD_OUT} are needed")
    real_distances, real_places = nearest(held_out.plain, train)
    threshold = low_quantile(real_distances)
    distances, places = nearest(generated.plain, train)
    near = distances < threshold
    return Memorisation(
        share=_share(near),
        expected=EXPECTED,
        threshold=threshold,
        chance=chance_of(near, len(held_out)),
        ct=copying_z(distances, real_distances),
        authenticity=_share(distances > nearest_other(places, train)),
        real_authenticity=_share(real_distances > nearest_other(real_places, train)),
    )


def chance_of(near: Tensor, real: int) -> float:
    """near (N,) bool: which of N draws lie below the EXPECTED quantile of `real` others of the same distribution ->

    the probability of so many or more. The share of the distribution below an order statistic has a beta distribution.
    """
    below = EXPECTED * (real + 1)
    return float(betabinom.sf(int(near.sum()) - 1, len(near), below, real + 1 - below))


def copying_z(generated: Tensor, held_out: Tensor) -> float:
    """Distances (N,) and (M,) to training images -> z of Mann-Whitney's U; negative where generated ones are nearer."""
    n, m = len(generated), len(held_out)
    u = float(mannwhitneyu(generated.numpy(), held_out.numpy(), method="asymptotic").statistic)
    return (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)


def held_out_copies(generated: Features, train: References, held_out: Features) -> HeldOutCopies:
    """Of one class. Raises ValueError where training images are too few for a 5 % quantile."""
    if len(train) < FEWEST_HELD_OUT:
        raise ValueError(f"{len(train)} training images of the class; {FEWEST_HELD_OUT} are needed")
    threshold = low_quantile(torch.cat([nearest(block.plain, held_out)[0] for block in train.blocks()]))
    distances = nearest(generated.plain, held_out)[0]
    near = (distances < threshold) & (distances < nearest(generated.plain, train)[0])
    return HeldOutCopies(_share(near), EXPECTED, threshold, chance_of(near, len(train)), len(held_out))


def _share(which: Tensor) -> float:
    return float(which.double().mean())
