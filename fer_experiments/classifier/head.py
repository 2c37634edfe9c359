"""The last layer of a network, and with it what the network makes of an image before it decides."""

from torch import nn


def last_linear(network: nn.Module, classes: int) -> tuple[str, nn.Linear] | None:
    """Name and layer of the last nn.Linear inside the network with as many outputs as classes, if there is one."""
    found = [
        (name, layer)
        for name, layer in network.named_modules()
        if name and isinstance(layer, nn.Linear) and layer.out_features == classes
    ]
    return found[-1] if found else None
