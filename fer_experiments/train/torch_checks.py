"""The checks of a configuration that need torch, after all others (Config.read)."""

import logging

from fer_experiments.classifier.check import build_without_memory, explain_wrong_parts
from fer_experiments.classifier.head import find_last_linear
from fer_experiments.errors import ConfigError
from fer_experiments.train.settings import Settings
from fer_experiments.trainer import TrainerConfig
from fer_experiments.trainer.bfloat16 import has_fast_bfloat16

log = logging.getLogger(__name__)


def check_with_torch(settings: Settings) -> None:
    """Check the devices, the classes of callbacks and loggers, and what conf/classifier and conf/encoder describe.

    Logs which precision was chosen. Raises ConfigError, which lists every network and optimizer that can't be built.
    """
    settings.trainer.check_devices()
    _report_precision(settings.trainer)
    settings.check_objects()
    settings.gan.check_with_torch()
    channels, reference = settings.data.channels, settings.reference_classifier
    groups = {"classifier": settings.classifier, "reference_classifier": reference}
    errors = [line for group, config in groups.items() for line in explain_wrong_parts(group, config, channels)]
    if errors:
        raise ConfigError("\n".join(errors))
    settings.encoder.build(settings.gan.image_size, "cpu")
    if find_last_linear(build_without_memory(reference, channels), 2) is None:
        raise ConfigError(
            f"reference_classifier.network={reference.network}: has no nn.Linear with as many outputs as classes, "
            "whose inputs are the features; choose another network"
        )


def _report_precision(trainer: TrainerConfig) -> None:
    """Log which precision trainer.precision=auto chooses, or that the one that is set is a slow one here."""
    if trainer.precision == "auto":
        log.info("trainer.precision=auto: %s on this %s", trainer.chosen_precision, trainer.device_type)
    elif trainer.precision == "bf16-mixed" and not has_fast_bfloat16(trainer.device_type):
        log.warning(
            "trainer.precision=bf16-mixed: this %s has no arithmetic for bfloat16, so that a step can take 20 times as "
            "long as with trainer.precision=32-true or auto",
            trainer.device_type,
        )
