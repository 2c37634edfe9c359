"""The last layer of a network, whose inputs are the features of an image, and the backbone before it."""

from torch import nn


def find_last_linear(network: nn.Module, classes: int) -> tuple[str, nn.Linear] | None:
    """Return path and layer of the last nn.Linear with `classes` outputs inside the network; None if it has none."""
    named_layers = [
        (name, layer)
        for name, layer in network.named_modules()
        if name and isinstance(layer, nn.Linear) and layer.out_features == classes
    ]
    return named_layers[-1] if named_layers else None


def freeze_backbone(network: nn.Module, classes: int) -> nn.Module:
    """Leave only the last nn.Linear with `classes` outputs to be trained, in place; return the network.

    Raises ValueError if the network has no such layer.
    """
    named_layer = find_last_linear(network, classes)
    if named_layer is None:
        raise ValueError(
            f"freeze=backbone: {type(network).__name__} has no nn.Linear with {classes} outputs; give null"
        )
    network.requires_grad_(False)
    named_layer[1].requires_grad_(True)
    return network


def set_training_mode(network: nn.Module, mode: bool) -> None:
    """Set training or evaluation mode, but evaluation for modules without parameters of their own that are trained.

    So BatchNorm's statistics stay as they are in a frozen backbone, and nothing is dropped there.
    """
    network.eval()
    for module in network.modules():
        if any(parameter.requires_grad for parameter in module.parameters(recurse=False)):
            module.training = mode
