"""Has the GAN learnt its training images by heart? Distances to the nearest training image, held against real ones.

After the three samples of Meehan et al. 2020 (C_T) and the authenticity of Alaa et al. 2022, in small grey pixels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize

SIDE = 32
EXPECTED = 0.05  # the share of held-out images that lie nearer to a training image than the threshold
FEWEST_HELD_OUT = 20  # of fewer there is no 5 % quantile
CHUNK = 1024


@dataclass(frozen=True)
class Memorisation:
    """share: of the generated images that lie nearer to a training image than EXPECTED of the held-out real ones do.

    EXPECTED for a GAN that draws from the real distribution, 1 for one that copies, 0 for one far from real images. A
    blurred image lies near to many and raises it too: the pairs must be looked at.
    """

    share: float
    expected: float
    threshold: float


def pixel_features(images: Tensor) -> Tensor:
    """images (N, C, S, S) uint8 -> (N, 1024) float64: 32 x 32 grey pixels with mean 0 and length 1.

    So brightness and contrast don't matter, and a distance of two lies in [0, 2] (an image without contrast is all 0).
    """
    grey = images.float().mean(1, keepdim=True)
    small = resize(grey, [SIDE, SIDE], InterpolationMode.BILINEAR, antialias=True).flatten(1).double()
    # Under one grey level in all there is only rounding, which is not to be blown up to a direction.
    return torch.nn.functional.normalize(small - small.mean(1, keepdim=True), eps=1.0)


def nearest(queries: Tensor, references: Tensor) -> tuple[Tensor, Tensor]:
    """Features (N, D) and (M, D) -> Euclidean distance (N,) to the nearest reference and its place (N,) int64."""
    found = [torch.cdist(chunk, references).min(1) for chunk in queries.split(CHUNK)]
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def memorisation(generated: Tensor, train: Tensor, held_out: Tensor) -> Memorisation | None:
    """Features (N, D), (M, D), (H, D) of one class; None where H is too small for a 5 % quantile (FEWEST_HELD_OUT)."""
    if len(held_out) < FEWEST_HELD_OUT:
        return None
    ordered = nearest(held_out, train)[0].sort().values
    place = EXPECTED * (len(ordered) + 1) - 1  # so that a further held-out image lies below it with p = EXPECTED
    low = int(place)
    threshold = float(torch.lerp(ordered[low], ordered[low + 1], place - low))
    return Memorisation(
        share=float((nearest(generated, train)[0] < threshold).double().mean()),
        expected=EXPECTED,
        threshold=threshold,
    )
