"""Classifier networks. Each takes num_classes, channels and image_size, and gives logits."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models import resnet18


class CNN(nn.Module):
    """images (B, channels, S, S) in [0, 1] -> logits (B, num_classes). Table 3 of Surono et al. 2023.

    At 100 pixels: 98-49, 47-23, 21-10, 6400, 1024, K; 6,585,314 parameters for 3 channels and 2 classes. The softmax
    is in the loss. Raises ValueError for images under 22 pixels, of which nothing is left.
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
        # The paper gives no initialisation: He et al. 2015, for ReLU. PyTorch's own is
        # weaker, and leaves the network at chance for hundreds of steps on small or augmented sets.
        for layer in (*self.features, *self.hidden):
            if isinstance(layer, nn.Conv2d | nn.Linear):
                assert layer.bias is not None
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    @staticmethod
    def _block(inputs: int, outputs: int) -> list[nn.Module]:
        # ReLU after the pooling: the same values (both are monotone), a quarter of the work.
        return [nn.Conv2d(inputs, outputs, 3), nn.MaxPool2d(2), nn.ReLU()]

    def forward(self, images: Tensor) -> Tensor:
        return self.to_logits(self.hidden(self.features(images)))


class ResNet18(nn.Module):
    """images (B, channels, S, S) in [0, 1], S of 8 or more -> logits (B, num_classes). He et al. 2016, torchvision's.

    small_images: the first layer that He et al. have for CIFAR (section 4.2), 3 x 3 without stride or pooling. The
    usual one leaves a quarter of the side, and the last block 2 x 2 places of 48 pixels; this one costs 16 times the
    arithmetic. weights: a file of torchvision's state_dict, of any number of classes; of another than num_classes the
    last layer starts anew. Raises ValueError for a file that does not fit.
    """

    mean: Tensor
    deviation: Tensor

    # Of ImageNet, which torchvision's weights expect.
    MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def __init__(
        self,
        num_classes: int,
        channels: int = 3,
        image_size: int = 100,
        small_images: bool = False,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.network = resnet18(num_classes=num_classes)
        if small_images or channels != 3:
            side, stride, border = (3, 1, 1) if small_images else (7, 2, 3)
            self.network.conv1 = nn.Conv2d(channels, 64, side, stride, border, bias=False)
            nn.init.kaiming_normal_(self.network.conv1.weight, mode="fan_out", nonlinearity="relu")  # as torchvision
        if small_images:
            self.network.maxpool = nn.Identity()
        for name, values in (("mean", self.MEAN), ("deviation", self.DEVIATION)):
            each = torch.tensor(values if channels == 3 else [sum(values) / 3] * channels)
            self.register_buffer(name, each[:, None, None], persistent=False)
        if weights is not None:
            self._load(weights)

    def _load(self, path: str) -> None:
        fresh = self.network.state_dict()
        try:
            # The default device is the one of no memory where a configuration is only checked.
            found = torch.load(Path(path).expanduser(), map_location=torch.get_default_device(), weights_only=True)
            if len(found["fc.bias"]) != len(fresh["fc.bias"]):
                found |= {name: fresh[name] for name in ("fc.weight", "fc.bias")}
            self.network.load_state_dict(found)
        except Exception as error:  # torch.load raises anything on foreign bytes
            raise ValueError(
                f"weights={path}: {type(error).__name__}: {error}; give a state_dict of torchvision.models.resnet18 "
                "(with data.channels=3 and small_images=false, if it is of ImageNet), or null"
            ) from None

    def forward(self, images: Tensor) -> Tensor:
        return self.network((images - self.mean) / self.deviation)
