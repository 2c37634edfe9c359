"""The device that a training ran on, and what it computed in."""

import platform

import lightning
import torch

from fer_experiments.trainer.config import TrainerConfig


def describe_device(config: TrainerConfig, trainer: lightning.Trainer) -> dict[str, str]:
    """Return the device and the precision of a Trainer, as the fields of a Result."""
    return {"device": device_name(trainer), "precision": config.arithmetic(trainer.strategy.root_device)}


def device_name(trainer: lightning.Trainer) -> str:
    """Return "cpu (x86_64, 2 threads)" or a GPU's name, preceded by "4 × " if there are several."""
    device = trainer.strategy.root_device
    number = f"{trainer.world_size} × " if trainer.world_size > 1 else ""
    if device.type == "cuda":
        return number + torch.cuda.get_device_name(device)
    return f"{number}{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
