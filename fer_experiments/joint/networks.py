"""The trunk, which is discriminator and classifier at once, and what its training step needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from fer_experiments.gan.config import Normalisation
from fer_experiments.gan.networks import Discriminator


class Heads(NamedTuple):
    """adversarial (B, 1): the logit of "real". classes: logits (B, K), or (B, 2K) of real, then of generated images."""

    adversarial: Tensor
    classes: Tensor


class Trunk(nn.Module):
    """images (B, channels, S, S) in [0, 1] -> logits (B, num_classes) of the real classes. S is 32, 64 or 128.

    The discriminator of Table 1, and a layer for the classes beside its last one.
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
        """Build the network with random weights.

        Args:
            num_classes: K.
            channels: of the images.
            image_size: S.
            width, normalisation: as in Discriminator.
            contrast: give the layer for the classes 2K outputs, of which the second half is for generated images of
                each class (Hou et al. 2022).
        """
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

    def heads(self, images: Tensor, share_trunk: bool = True) -> Heads:
        """images (B, C, S, S) in [-1, 1] -> the logits of both heads.

        Without share_trunk the adversarial logit has no gradient below its own layer.
        """
        features = self.discriminator.blocks(images)
        adversarial_features = features if share_trunk else features.detach()
        adversarial = self.discriminator.to_logits(adversarial_features).flatten(1)
        return Heads(adversarial, self.to_classes(features).flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        return self.heads(images * 2 - 1).classes[:, : self.num_classes]


@contextmanager
def without_running_statistics(network: nn.Module) -> Iterator[None]:
    """Keep the running statistics of BatchNorm unchanged inside the block.

    Predictions use them for real images, and those of generated images differ.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def draw_labels(cumulative: Tensor, count: int) -> Tensor:
    """Draw classes (count,) int64 in random order, of each class its probability x `count`, rounded up or down.

    cumulative (K,): the cumulative probabilities of the classes.
    """
    draws = torch.rand(count + 1, device=cumulative.device)
    quantiles = (draws[:count].argsort() + draws[count]) / count
    return torch.searchsorted(cumulative, quantiles, right=True).clamp(max=len(cumulative) - 1)
