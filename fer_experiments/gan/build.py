"""Build the generator that conf/gan/ describes."""

from typing import Any

import lightning

from fer_experiments.gan.config import GANConfig
from fer_experiments.gan.generator_config import GeneratorConfig
from fer_experiments.gan.module import DCGAN
from fer_experiments.gan.module_config import ModuleConfig
from fer_experiments.strict_config import instantiate_node


def build_generator(
    config: GeneratorConfig, *, channels: int, classes: list[str] | None, provenance: dict[str, Any]
) -> lightning.LightningModule:
    """Build an untrained generator with all that trains it.

    Args:
        config: the generator and its training.
        channels: of the images, 1 or 3.
        classes: the names of the classes, in the order of the labels, if the generator is conditional; None: labels are
            ignored.
        provenance: what the checkpoint tells about the training (class, split hash, stored channels, seed).

    Returns:
        A module that trains on batches (images (B, C, S, S) in [0, 1], labels (B,) int64), whose method `sample`
        generates images (gan/sampling.py), and whose hyperparameters are what TrainedGenerator reads.

    Raises:
        ConfigError: it can't be built.
    """
    if isinstance(config, GANConfig):
        return DCGAN(config, channels=channels, classes=classes, provenance=provenance)
    assert isinstance(config, ModuleConfig), type(config)
    supplied = {
        "num_classes": None if classes is None else len(classes),
        "channels": channels,
        "image_size": config.image_size,
    }
    module: Any = instantiate_node("gan.module", config.module | supplied, lightning.LightningModule)
    module.save_hyperparameters(
        {"gan": config.model_dump(mode="json"), "channels": channels, "classes": classes, "provenance": provenance},
        logger=False,
    )
    module.history = []
    return module
