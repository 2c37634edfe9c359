"""Generator and discriminator of Surono et al. 2023, Tables 1 and 2, for images of 32, 64 or 128 pixels.

Kernel 4, stride 2, padding 1 throughout, 4 x 4 at the inner end. BatchNorm in every block but the discriminator's
first and the generator's last, and so no bias (Radford et al. 2016; the paper says only "convolution block").
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn


def _inner_widths(width: int, image_size: int) -> list[int]:
    """Channels at 4 x 4, 8 x 8, ... up to half the image: [512, 256, 128, 64] for width 64 and 64 pixels."""
    steps = math.log2(image_size / 4)
    if not steps.is_integer() or not 32 <= image_size <= 128:
        raise ValueError(f"image_size={image_size}: must be 32, 64 or 128")
    return [width * 2**level for level in reversed(range(int(steps)))]


def _initialise(module: nn.Module) -> None:
    """Normal weights of deviation 0.02 (Radford et al. 2016, section 4)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Generator(nn.Module):
    """z (B, latent_dim) standard normal -> images (B, channels, S, S) in [-1, 1]. Table 2; 3,576,704 parameters."""

    def __init__(self, latent_dim: int = 100, width: int = 64, channels: int = 3, image_size: int = 64) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        widths = _inner_widths(width, image_size)
        blocks: list[nn.Module] = [self._block(latent_dim, widths[0], stride=1, padding=0)]  # 1 -> 4 pixels
        blocks += [self._block(a, b) for a, b in pairwise(widths)]
        self.blocks = nn.Sequential(*blocks)
        self.to_image = nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False)
        self.apply(_initialise)

    @staticmethod
    def _block(inputs: int, outputs: int, stride: int = 2, padding: int = 1) -> nn.Sequential:
        return nn.Sequential(
            nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False),
            nn.BatchNorm2d(outputs),
            nn.GELU(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.to_image(self.blocks(z.reshape(len(z), -1, 1, 1))))  # also takes (B, latent_dim, 1, 1)


class Discriminator(nn.Module):
    """images (B, channels, S, S) in [-1, 1] -> logits (B, outputs). Table 1.

    outputs 2: logits of real and of fake (2,773,760 parameters); 1: logit of real (2,765,568). The sigmoid is in the
    loss.
    """

    def __init__(self, width: int = 64, channels: int = 3, image_size: int = 64, outputs: int = 2) -> None:
        super().__init__()
        widths = _inner_widths(width, image_size)[::-1]
        blocks: list[nn.Module] = [nn.Sequential(nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.GELU())]
        blocks += [self._block(a, b) for a, b in pairwise(widths)]
        self.blocks = nn.Sequential(*blocks)
        self.to_logits = nn.Conv2d(widths[-1], outputs, 4, 1, 0, bias=False)  # 4 x 4 -> 1
        self.apply(_initialise)

    @staticmethod
    def _block(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.GELU())

    def forward(self, images: Tensor) -> Tensor:
        return self.to_logits(self.blocks(images)).flatten(1)
