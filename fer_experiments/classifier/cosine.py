"""A last layer of cosines in the place of a network's own."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fer_experiments.classifier.head import last_linear
from fer_experiments.errors import ConfigError


class CosineLinear(nn.Module):
    """features (B, D) -> scale * cosines (B, K) with a direction for each class (Cao et al. 2019, section 3.2)."""

    def __init__(self, features: int, classes: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(classes, features))
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        return self.scale * F.linear(F.normalize(features), F.normalize(self.weight))


def with_cosine_head(network: nn.Module, classes: int, scale: float) -> nn.Module:
    """The network with its last nn.Linear of as many outputs as classes replaced, in place.

    Raises ConfigError where it has none.
    """
    found = last_linear(network, classes)
    if found is None:
        raise ConfigError(
            f"classifier.network={type(network).__name__}: has no nn.Linear with {classes} outputs that a layer of "
            "cosines could replace; choose another network, or another balance than ldam_drw"
        )
    place, last = found
    parent, _, name = place.rpartition(".")
    setattr(network.get_submodule(parent), name, CosineLinear(last.in_features, classes, scale))
    return network
