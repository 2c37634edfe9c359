"""Generators: the DCGAN, a diffusion model, and any other LightningModule; their training, sampling and health."""

from fer_experiments.gan.config import GANConfig
from fer_experiments.gan.generator_config import GeneratorConfig
from fer_experiments.gan.module_config import ModuleConfig

__all__ = ["GANConfig", "GeneratorConfig", "ModuleConfig"]
