"""The DCGAN: networks, losses, training step, LightningModule, sampling and health."""

from fer_experiments.gan.config import GANConfig

__all__ = ["GANConfig"]
