"""The last layer of a network, whose inputs are the features of an image."""

from torch import nn


def find_last_linear(network: nn.Module, classes: int) -> tuple[str, nn.Linear] | None:
    """Return path and layer of the last nn.Linear with `classes` outputs inside the network; None if it has none."""
    named_layers = [
        (name, layer)
        for name, layer in network.named_modules()
        if name and isinstance(layer, nn.Linear) and layer.out_features == classes
    ]
    return named_layers[-1] if named_layers else None
