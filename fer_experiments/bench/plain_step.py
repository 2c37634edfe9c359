"""The steps of our trainings in plain PyTorch, without Lightning and without data."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Adam

from fer_experiments.balance.objective import Objective
from fer_experiments.bench.timing import DEVICE
from fer_experiments.classifier.networks import CNN
from fer_experiments.classifier.step import classification_step
from fer_experiments.gan.losses import BCE
from fer_experiments.gan.networks import Discriminator, Generator
from fer_experiments.gan.step import AdversarialObjective, adversarial_step

LATENT_DIM = 100
Step = Callable[[], Tensor]


def random_batch(model: str, batch: int, size: int) -> tuple[Tensor, Tensor]:
    """Return images (batch, 3, size, size) of noise, in [-1, 1] for "dcgan" and else in [0, 1], and labels 0 or 1."""
    images = torch.rand(batch, 3, size, size, device=DEVICE).contiguous(memory_format=torch.channels_last)
    return (images * 2 - 1 if model == "dcgan" else images), torch.arange(batch, device=DEVICE) % 2


def build_plain_step(model: str, images: Tensor, labels: Tensor, width: int = 64) -> Step:
    """Return a function that updates new networks on one batch, and returns the step's values.

    Args:
        model: "dcgan" or "classifier".
        images: (B, C, S, S) in the range of the model's step.
        labels: (B,) int64 in {0, 1}.
        width: of the DCGAN's networks.
    """
    batch, channels, size, _ = images.shape
    if model == "classifier":
        network, optimizer = _prepare(CNN(2, channels, size), 1e-3)
        objective = Objective()
        return lambda: _stack(classification_step(network, optimizer, images, labels, objective=objective))
    generator, optimizer_g = _prepare(Generator(LATENT_DIM, width, channels, size), 2e-4, (0.5, 0.999))
    discriminator, optimizer_d = _prepare(Discriminator(width, channels, size), 2e-4, (0.5, 0.999))
    optimizers, adversarial = (optimizer_g, optimizer_d), AdversarialObjective(BCE)

    def step() -> Tensor:
        z = torch.randn(batch, LATENT_DIM, device=images.device)
        return _stack(adversarial_step(generator, discriminator, optimizers, images, z, adversarial))

    return step


def _prepare(
    network: nn.Module, learning_rate: float, betas: tuple[float, float] = (0.9, 0.999)
) -> tuple[nn.Module, Adam]:
    """Move a network to the device; return it with its optimizer."""
    network.to(DEVICE).to(memory_format=torch.channels_last)
    return network, Adam(network.parameters(), learning_rate, betas, fused=True)


def _stack(values: dict[str, Tensor]) -> Tensor:
    return torch.stack([*values.values()])


def autocast_step(step: Step, precision: str) -> Step:
    """Return the step in "fp32" or "bf16"."""

    def run() -> Tensor:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision == "bf16"):
            return step()

    return run
