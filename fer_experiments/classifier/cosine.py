"""A last layer whose logits are cosines, to replace that of a network."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fer_experiments.classifier.head import find_last_linear
from fer_experiments.errors import ConfigError


class CosineLinear(nn.Module):
    """features (B, D) -> scale * their cosines (B, K) with one direction per class (Cao et al. 2019, section 3.2)."""

    def __init__(self, features: int, classes: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, features))
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        return self.scale * F.linear(F.normalize(features), F.normalize(self.weight))


def attach_cosine_head(network: nn.Module, classes: int, scale: float) -> nn.Module:
    """Replace the network's last nn.Linear with `classes` outputs by a CosineLinear, in place; return the network.

    Raises ConfigError if the network has no such layer.
    """
    named_layer = find_last_linear(network, classes)
    if named_layer is None:
        raise ConfigError(
            f"classifier.network={type(network).__name__}: has no nn.Linear with {classes} outputs that a layer of "
            "cosines could replace; choose another network, or another balance than ldam_drw"
        )
    path, layer = named_layer
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, CosineLinear(layer.in_features, classes, scale))
    return network
