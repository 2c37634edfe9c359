"""Generator and discriminator of Surono et al. 2023, Tables 1 and 2, for images of 32, 64 or 128 pixels.

All convolutions have kernel 4, stride 2 and padding 1, except at the inner end, which is 4 x 4. Every block but the
discriminator's first and the generator's last has a BatchNorm, and therefore no convolution has a bias (Radford et al.
2016; the paper says only "convolution block").

With `classes` both are conditional, and with `transition` the class has an influence that grows from 0 to 1 while they
are trained (Shahbazi et al. 2022): the generator takes the class, one-hot, beside the noise (Mirza & Osindero 2014),
and its BatchNorm has a scale and a shift for each class (Dumoulin et al. 2017); the discriminator adds to its logit the
product of its last features with a vector for each class (Miyato & Koyama 2018). During the transition this product
grows in the one logit that there is; Shahbazi et al. have a second logit and loss without classes, which stay to the
end. Without `classes` they are the paper's networks, and labels are ignored.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.nn.utils.parametrizations import spectral_norm

from fer_experiments.gan.config import Normalisation
from fer_experiments.gan.latents import draw_latents


def _inner_widths(width: int, image_size: int) -> list[int]:
    """Return the channels at 4 x 4, 8 x 8, ... up to half the image: [512, 256, 128, 64] for width 64 and 64 pixels."""
    steps = math.log2(image_size / 4)
    if not steps.is_integer() or not 32 <= image_size <= 128:
        raise ValueError(f"image_size={image_size}: must be 32, 64 or 128")
    return [width * 2**level for level in reversed(range(int(steps)))]


class ConditionalBatchNorm2d(nn.Module):
    """BatchNorm whose scale and shift depend on each image's class (Dumoulin et al. 2017).

    It contains a BatchNorm2d instead of being one, so that convert_sync_batchnorm replaces the normalisation and keeps
    the classes.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(features, affine=False)
        self.scale, self.shift = nn.Embedding(classes, features), nn.Embedding(classes, features)

    def forward(self, inputs: Tensor, labels: Tensor, influence: Tensor | None = None) -> Tensor:
        """inputs (B, features, H, W), labels (B,) int64 -> (B, features, H, W).

        influence: of the class, a scalar in [0, 1]; 0: scale and shift are their means over the classes. None: 1.
        """
        scale, shift = self.scale(labels), self.shift(labels)
        if influence is not None:
            scale = torch.lerp(self.scale.weight.mean(0), scale, influence)
            shift = torch.lerp(self.shift.weight.mean(0), shift, influence)
        normalised = self.norm(inputs)
        scale, shift = (values.to(normalised.dtype)[:, :, None, None] for values in (scale, shift))
        return normalised * scale + shift

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        for name in ("running_mean", "running_var", "num_batches_tracked"):  # until 0.1.0 this was a BatchNorm2d
            if prefix + name in state_dict:
                state_dict[f"{prefix}norm.{name}"] = state_dict.pop(prefix + name)
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def _initialise(module: nn.Module) -> None:
    """Draw normal weights with standard deviation 0.02 (Radford et al. 2016, section 4)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, ConditionalBatchNorm2d):
        nn.init.normal_(module.scale.weight, 1.0, 0.02)
        nn.init.zeros_(module.shift.weight)
    elif isinstance(module, nn.BatchNorm2d) and module.affine:
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


class Generator(nn.Module):
    """z (B, latent_dim) standard normal -> images (B, channels, S, S) in [-1, 1]. Table 2; 3,576,704 parameters.

    With `classes`, each image is of its class in labels (B,) int64, which are then needed.

    Attributes:
        class_influence: a scalar in [0, 1], kept in checkpoints; None without `transition`, which is 1.
    """

    class_influence: Tensor | None

    def __init__(
        self,
        latent_dim: int = 100,
        width: int = 64,
        channels: int = 3,
        image_size: int = 64,
        classes: int | None = None,
        transition: bool = False,
    ) -> None:
        """Build the network with random weights.

        Args:
            latent_dim: the length of z.
            width: channels before the last block.
            channels: of the images.
            image_size: S, one of 32, 64 and 128.
            classes: how many there are; None for a generator without classes.
            transition: whether class_influence will be changed while it is trained.
        """
        super().__init__()
        self.latent_dim, self.classes = latent_dim, classes
        self.register_buffer("class_influence", torch.ones(()) if transition else None)
        widths = _inner_widths(width, image_size)
        inputs = latent_dim + (classes or 0)
        blocks: list[nn.Module] = [self._block(inputs, widths[0], stride=1, padding=0)]  # 1 -> 4 pixels
        blocks += [self._block(a, b) for a, b in pairwise(widths)]
        self.blocks = nn.Sequential(*blocks)
        self.to_image = nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1, bias=False)
        self.apply(_initialise)

    def _block(self, inputs: int, outputs: int, stride: int = 2, padding: int = 1) -> nn.Module:
        norm = nn.BatchNorm2d(outputs) if self.classes is None else ConditionalBatchNorm2d(outputs, self.classes)
        return GeneratorBlock(
            nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False),
            norm,
            nn.GELU(),
        )

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        inputs = z.flatten(1)  # also takes (B, latent_dim, 1, 1)
        if self.classes is not None and labels is not None:
            # Scale and shift alone learn too slowly: 1,000 steps of Adam at 2e-4 move none of them by more than 0.2.
            classes = one_hot(labels, self.classes).to(inputs)
            if self.class_influence is not None:
                classes = classes * self.class_influence
            inputs = torch.cat([inputs, classes], dim=1)
        images = inputs[:, :, None, None]
        for block in self.blocks:
            images = block(images, labels, self.class_influence)
        return torch.tanh(self.to_image(images))

    def sample(self, labels: Tensor | None, seeds: Sequence[int]) -> Tensor:
        """Generate an image for each seed, of the class in labels (N,); return (N, C, S, S) in [0, 1].

        The same seed gives the same z for every class.
        """
        z = draw_latents(seeds, self.latent_dim).to(self.to_image.weight.device)
        return (self(z, labels).float() + 1) / 2


class GeneratorBlock(nn.Sequential):
    """Convolution, BatchNorm and activation; a conditional BatchNorm also takes the labels."""

    def forward(  # type: ignore[override]
        self, inputs: Tensor, labels: Tensor | None, influence: Tensor | None = None
    ) -> Tensor:
        convolution, norm, activation = self
        outputs = convolution(inputs)
        is_conditional = isinstance(norm, ConditionalBatchNorm2d)
        return activation(norm(outputs, labels, influence) if is_conditional else norm(outputs))


class Discriminator(nn.Module):
    """images (B, channels, S, S) in [-1, 1] -> logits (B, outputs). Table 1.

    The sigmoid is in the loss. class_influence: as of Generator.
    """

    class_influence: Tensor | None

    def __init__(
        self,
        width: int = 64,
        channels: int = 3,
        image_size: int = 64,
        outputs: int = 2,
        classes: int | None = None,
        normalisation: Normalisation = "batch",
        transition: bool = False,
    ) -> None:
        """Build the network with random weights.

        Args:
            width: channels after the first block.
            channels: of the images.
            image_size: S, one of 32, 64 and 128.
            outputs: 2 for logits of "real" and "fake" (2,773,760 parameters), 1 for the logit of "real" (2,765,568).
            classes: how many there are, with one output only. The logit is then that an image is real and of its class
                in labels (B,).
            normalisation: "batch"; "layer", over each image by itself, as a gradient penalty needs it (Gulrajani et al.
                2017); "spectral", which makes 1 the largest singular value of every layer (Miyato et al. 2018).
            transition: as of Generator.
        """
        super().__init__()
        assert outputs == 1 or classes is None
        self.register_buffer("class_influence", torch.ones(()) if transition else None)
        widths = _inner_widths(width, image_size)[::-1]
        blocks: list[nn.Module] = [nn.Sequential(nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.GELU())]
        blocks += [self._block(a, b, normalisation) for a, b in pairwise(widths)]
        self.blocks = nn.Sequential(*blocks)
        self.to_logits = nn.Conv2d(widths[-1], outputs, 4, 1, 0, bias=False)  # 4 x 4 -> 1
        self.class_vectors = None if classes is None else nn.Embedding(classes, widths[-1])
        self.apply(_initialise)
        if normalisation == "spectral":
            for module in [*self.modules()]:
                if isinstance(module, nn.Conv2d | nn.Embedding):
                    spectral_norm(module)

    @staticmethod
    def _block(inputs: int, outputs: int, normalisation: Normalisation) -> nn.Sequential:
        convolution = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)
        if normalisation == "spectral":
            return nn.Sequential(convolution, nn.GELU())
        norm = nn.BatchNorm2d(outputs) if normalisation == "batch" else nn.GroupNorm(1, outputs)
        return nn.Sequential(convolution, norm, nn.GELU())

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        features = self.blocks(images)  # (B, 8 width, 4, 4) for 64 pixels
        logits = self.to_logits(features).flatten(1)
        if self.class_vectors is None:
            return logits
        projection = (self.class_vectors(labels) * features.sum((2, 3))).sum(1, keepdim=True)
        return logits + (projection if self.class_influence is None else self.class_influence * projection)
