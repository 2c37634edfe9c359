"""The trunk that is discriminator and classifier at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from fer_experiments.gan.networks import Discriminator, Normalisation


class Heads(NamedTuple):
    """adversarial (B, 1): logit of real; classes (B, K), or (B, 2K) of real and of generated ones."""

    adversarial: Tensor
    classes: Tensor


class Trunk(nn.Module):
    """images (B, channels, S, S) in [0, 1] -> logits (B, num_classes) of the real classes. S is 32, 64 or 128.

    The discriminator of Table 1 with a second layer beside its last one, for the classes; contrast: it has 2K outputs,
    the second half for generated images of each class (Hou et al. 2022).
    """

    def __init__(
        self,
        num_classes: int,
        channels: int = 3,
        image_size: int = 64,
        width: int = 64,
        normalisation: Normalisation = "batch",
        contrast: bool = True,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.discriminator = Discriminator(width, channels, image_size, 1, None, normalisation)
        features = self.discriminator.to_logits.in_channels
        self.to_classes = nn.Conv2d(features, num_classes * (2 if contrast else 1), 4)  # 4 x 4 -> 1
        nn.init.normal_(self.to_classes.weight, 0.0, 0.02)
        assert self.to_classes.bias is not None
        nn.init.zeros_(self.to_classes.bias)
        if normalisation == "spectral":
            spectral_norm(self.to_classes)

    def heads(self, images: Tensor, shared: bool = True) -> Heads:
        """images (B, C, S, S) in [-1, 1]. Not shared: the adversarial logit has no gradient below its own layer."""
        features = self.discriminator.blocks(images)
        below = features if shared else features.detach()
        return Heads(self.discriminator.to_logits(below).flatten(1), self.to_classes(features).flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        return self.heads(images * 2 - 1).classes[:, : self.num_classes]


@contextmanager
def unrecorded(network: nn.Module) -> Iterator[None]:
    """BatchNorm's running statistics stay: predictions are of real images, and generated ones differ."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, kept, strict=True):
            norm.momentum = momentum


def drawn_labels(cumulative: Tensor, count: int) -> Tensor:
    """`count` classes by cumulative probabilities (K,), in any order; each has its share but for one image."""
    draws = torch.rand(count + 1, device=cumulative.device)
    places = (draws[:count].argsort() + draws[count]) / count
    return torch.searchsorted(cumulative, places, right=True).clamp(max=len(cumulative) - 1)
