"""Classifier networks. Each takes num_classes, channels and image_size, and gives logits."""

from torch import Tensor, nn


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
