"""The name of the device that a training ran on."""

import platform

import lightning
import torch


def device_name(trainer: lightning.Trainer) -> str:
    """Return "cpu (x86_64, 2 threads)" or a GPU's name, preceded by "4 × " if there are several."""
    device = trainer.strategy.root_device
    number = f"{trainer.world_size} × " if trainer.world_size > 1 else ""
    if device.type == "cuda":
        return number + torch.cuda.get_device_name(device)
    return f"{number}{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
