"""Classifier networks. Each is built from num_classes, channels and image_size, and returns logits."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet18


def build_network(node: dict[str, Any], num_classes: int, channels: int, image_size: int) -> nn.Module:
    """Build the network that the `_target_` of `node` names, with the node's other keys as arguments.

    An argument with a `_target_` of its own is built first.
    """
    build = instantiate(node, _partial_=True, _convert_="all")
    network = build(num_classes=num_classes, channels=channels, image_size=image_size)
    assert isinstance(network, nn.Module), f"classifier.network._target_ builds a {type(network).__name__}"
    return network


class CNN(nn.Module):
    """images (B, channels, S, S) in [0, 1] -> logits (B, num_classes). Table 3 of Surono et al. 2023.

    The sides of the feature maps at 100 pixels are 98-49, 47-23 and 21-10, then come 6400, 1024 and num_classes
    features; 6,585,314 parameters for 3 channels and 2 classes. The softmax is part of the loss. Raises ValueError for
    images smaller than 22 pixels, of which the poolings leave nothing.
    """

    def __init__(self, num_classes: int, channels: int = 3, image_size: int = 100, dropout: float = 0.5) -> None:
        super().__init__()
        if image_size < 22:
            raise ValueError(
                f"image_size={image_size}: three valid 3 x 3 convolutions and poolings need 22 pixels or more"
            )
        side = image_size
        for _ in range(3):
            side = (side - 2) // 2
        self.features = nn.Sequential(
            *self._block(channels, 32), *self._block(32, 32), *self._block(32, 64), nn.Flatten()
        )
        self.hidden = nn.Sequential(nn.Linear(64 * side * side, 1024), nn.ReLU(), nn.Dropout(dropout))
        self.to_logits = nn.Linear(1024, num_classes)
        # The paper gives no initialisation; this is He et al. 2015, for ReLU. PyTorch's default has smaller weights,
        # and leaves the network at chance for hundreds of steps on small or augmented sets.
        for layer in (*self.features, *self.hidden):
            if isinstance(layer, nn.Conv2d | nn.Linear):
                assert layer.bias is not None
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    @staticmethod
    def _block(inputs: int, outputs: int) -> list[nn.Module]:
        # ReLU follows the pooling: the values are the same, as both are monotone, for a quarter of the work.
        return [nn.Conv2d(inputs, outputs, 3), nn.MaxPool2d(2), nn.ReLU()]

    def forward(self, images: Tensor) -> Tensor:
        return self.to_logits(self.hidden(self.features(images)))


class Standardize(nn.Module):
    """images (B, C, S, S) -> their differences from the mean of each channel in units of its deviation."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float], channels: int) -> None:
        """Take the means and deviations of the channels; another number of channels has their averages."""
        super().__init__()
        for name, values in (("mean", mean), ("deviation", deviation)):
            per_channel = torch.tensor(values if channels == len(values) else [sum(values) / len(values)] * channels)
            self.register_buffer(name, per_channel[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.deviation


class ResNet18(nn.Module):
    """images (B, channels, S, S) in [0, 1], S >= 8 -> logits (B, num_classes). He et al. 2016, as in torchvision."""

    # The mean and deviation of ImageNet's pixels, by which torchvision's weights expect images to be scaled.
    MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def __init__(
        self,
        num_classes: int,
        channels: int = 3,
        image_size: int = 100,
        small_images: bool = False,
        weights: str | None = None,
    ) -> None:
        """Build the network.

        Args:
            num_classes: K.
            channels: of the images.
            image_size: is not needed; the network takes images of any size.
            small_images: use the first layer that He et al. use for CIFAR (section 4.2), 3 x 3 without stride or
                pooling. The usual one leaves a quarter of the side, so that the last block sees 2 x 2 positions of an
                image of 48 pixels. This one costs 16 times the arithmetic.
            weights: a file with torchvision's state_dict. If its number of classes is not num_classes, the last layer
                keeps its random weights.

        Raises:
            ValueError: the file does not fit.
        """
        super().__init__()
        self.network = resnet18(num_classes=num_classes)
        if small_images or channels != 3:
            side, stride, border = (3, 1, 1) if small_images else (7, 2, 3)
            self.network.conv1 = nn.Conv2d(channels, 64, side, stride, border, bias=False)
            nn.init.kaiming_normal_(self.network.conv1.weight, mode="fan_out", nonlinearity="relu")  # as torchvision
        if small_images:
            self.network.maxpool = nn.Identity()
        self.standardize = Standardize(self.MEAN, self.DEVIATION, channels)
        if weights is not None:
            self._load_weights(weights)

    def _load_weights(self, path: str) -> None:
        initial = self.network.state_dict()
        try:
            # When a configuration is only checked, the default device is "meta", which needs no memory.
            weights = torch.load(Path(path).expanduser(), map_location=torch.get_default_device(), weights_only=True)
            if len(weights["fc.bias"]) != len(initial["fc.bias"]):
                weights |= {name: initial[name] for name in ("fc.weight", "fc.bias")}
            self.network.load_state_dict(weights)
        except Exception as error:  # torch.load raises anything for files that it did not write
            raise ValueError(
                f"weights={path}: {type(error).__name__}: {error}; give a state_dict of torchvision.models.resnet18 "
                "(with data.channels=3 and small_images=false if it was trained on ImageNet), or null"
            ) from None

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.standardize(images))


class CIFARResNet(nn.Module):
    """images (B, channels, S, S) in [0, 1] -> logits (B, num_classes). He et al. 2016, section 4.2, for small images.

    Three stages of 16, 32 and 64 channels at S, S / 2 and S / 4 pixels, and the mean over all positions. Shortcuts have
    no parameters (option A). 464,154 parameters at depth 32 for 3 channels and 10 classes. Convolutions and the last
    layer have the initialisation of He et al. 2015, as in the code of Cao et al. 2019.
    """

    MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # of CIFAR-10's pixels, as in that code

    def __init__(self, num_classes: int, channels: int = 3, image_size: int = 32, depth: int = 32) -> None:
        """Build the network.

        Args:
            num_classes: K.
            channels: of the images.
            image_size: is not needed; the network takes images of any size.
            depth: the number of layers with weights, 6 n + 2 for n blocks in each stage.

        Raises:
            ValueError: there is no such network of this depth.
        """
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth={depth}: must be 8, 14, 20, 26, 32 or another 6 n + 2")
        self.standardize = Standardize(self.MEAN, self.DEVIATION, channels)
        self.stem = nn.Sequential(*_convolution(channels, 16), nn.ReLU())
        widths = [width for width in (16, 32, 64) for _ in range(depth // 6)]
        self.blocks = nn.Sequential(*(_Block(*pair) for pair in pairwise([16, *widths])))
        self.to_logits = nn.Linear(64, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, images: Tensor) -> Tensor:
        return self.to_logits(self.blocks(self.stem(self.standardize(images))).mean((2, 3)))


class _Block(nn.Module):
    """features (B, inputs, S, S) -> (B, outputs, S, S), or half the side if there are more outputs than inputs."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride = 1 if inputs == outputs else 2
        self.border = (outputs - inputs) // 2  # channels of zeros on both sides of the shortcut's
        self.layers = nn.Sequential(
            *_convolution(inputs, outputs, self.stride), nn.ReLU(), *_convolution(outputs, outputs)
        )

    def forward(self, features: Tensor) -> Tensor:
        shortcut = features[..., :: self.stride, :: self.stride]
        return F.relu(self.layers(features) + F.pad(shortcut, (0, 0, 0, 0, self.border, self.border)))


def _convolution(inputs: int, outputs: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
