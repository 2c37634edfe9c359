"""How many kinds of images there are: the Vendi score."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_IMAGES = 10  # of each kind


@dataclass(frozen=True)
class Vendi:
    """The Vendi scores of generated and of held-out images, of as many each.

    generated, held_out: from 1, if all images are alike, to `images`, if no two have anything in common.
    """

    generated: float
    held_out: float
    images: int

    @property
    def ratio(self) -> float:
        """The score of generated images as a multiple of that of real ones."""
        return self.generated / self.held_out


def compare_vendi_scores(held_out: Tensor, generated: Tensor) -> Vendi:
    """features (N, D), (M, D) -> the Vendi scores of min(N, M) evenly spaced images each.

    More images have a higher score. Raises ValueError for fewer than MIN_IMAGES of a kind.
    """
    count = min(len(held_out), len(generated))
    if count < MIN_IMAGES:
        raise ValueError(f"{len(held_out)} held-out and {len(generated)} generated images; {MIN_IMAGES} are needed")
    places = [torch.linspace(0, len(features) - 1, count).round().long() for features in (held_out, generated)]
    return Vendi(vendi_score(generated[places[1]]), vendi_score(held_out[places[0]]), count)


def vendi_score(features: Tensor) -> float:
    """features (N, D) -> the exponential of the entropy of the eigenvalues of their cosines, over N.

    Equation 1 of Friedman and Dieng 2023, with the cosine as the kernel; the effective number of kinds of images.
    """
    directions = F.normalize(features.double(), dim=1) / len(features) ** 0.5
    products = directions @ directions.T if len(directions) <= directions.shape[1] else directions.T @ directions
    eigenvalues = torch.linalg.eigvalsh(products).clamp(min=0)  # the same of both products, but for zeros
    return float(torch.special.entr(eigenvalues).sum().exp())
