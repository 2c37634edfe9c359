"""The noise from which a generator makes images."""

from collections.abc import Sequence

import torch
from torch import Tensor


def draw_latents(seeds: Sequence[int], latent_dim: int) -> Tensor:
    """Draw standard normal z (N, latent_dim). Each row depends on its own seed alone, so any can be drawn again."""
    return torch.stack([torch.randn(latent_dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
