"""The checks of a configuration that need torch, after all others (Config.read)."""

from fer_experiments.classifier.check import build_without_memory, explain_wrong_parts
from fer_experiments.classifier.head import find_last_linear
from fer_experiments.errors import ConfigError
from fer_experiments.train.settings import Settings


def check_with_torch(settings: Settings) -> None:
    """Check the devices, the classes of callbacks and loggers, and what conf/classifier describes.

    Raises ConfigError, which lists every network and optimizer that can't be built.
    """
    settings.trainer.check_devices()
    settings.check_objects()
    channels, reference = settings.data.channels, settings.reference_classifier
    groups = {"classifier": settings.classifier, "reference_classifier": reference}
    errors = [line for group, config in groups.items() for line in explain_wrong_parts(group, config, channels)]
    if errors:
        raise ConfigError("\n".join(errors))
    if find_last_linear(build_without_memory(reference, channels), 2) is None:
        raise ConfigError(
            f"reference_classifier.network={reference.network}: has no nn.Linear with as many outputs as classes, "
            "whose inputs are the features; choose another network"
        )
