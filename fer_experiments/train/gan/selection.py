"""Which GANs a job needs, on which images each is trained, and in how many steps. It imports no torch."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from fer_experiments.balance.sampling import repeat_small_classes
from fer_experiments.data.prepared import PreparedData
from fer_experiments.enumeration import enumerate_names
from fer_experiments.errors import ConfigError
from fer_experiments.gan import GeneratorConfig
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.settings import Settings

log = logging.getLogger(__name__)
DEFAULT_COUNT = 64  # images of a class for which balance needs none


def count_generated_images(settings: Settings, data: PreparedData, arms: Iterable[Arm]) -> dict[str, int]:
    """Return {class: generated images} that are enough for every one of the arms."""
    needed: Counter[str] = Counter()
    for arm in arms:
        needed |= Counter(arm.balance.count_generated(data.split.labels("train"), settings.seed))  # the larger of both
    return dict(needed)


def choose_images(settings: Settings, data: PreparedData) -> dict[str, int]:
    """Return {class: images to write}: what balance needs of the class, or of all classes for a conditional GAN."""
    needed = settings.balance.count_generated(data.split.labels("train"), settings.seed)
    if settings.gan.conditional:
        return needed or dict.fromkeys(data.classes, DEFAULT_COUNT)
    label = choose_target_class(settings, data)
    if label not in needed:
        log.info("balance needs no images of %s; %d are written", label, DEFAULT_COUNT)
    return {label: needed.get(label, DEFAULT_COUNT)}


def choose_target_class(settings: Settings, data: PreparedData) -> str:
    """Return gan.target_class, or the smallest class. Raises ConfigError if there is no such class."""
    if settings.gan.target_class is None:
        counts = data.split.counts("train")
        return min(counts, key=lambda name: counts[name])
    if settings.gan.target_class not in data.classes:
        raise ConfigError(f"gan.target_class={settings.gan.target_class}: is not one of {', '.join(data.classes)}")
    return settings.gan.target_class


def group_by_gan(gan: GeneratorConfig, needed: Mapping[str, int]) -> list[dict[str, int]]:
    """Return what each GAN makes of needed = {class: images}: a conditional one everything, another one class."""
    if gan.conditional:
        return [dict(needed)] if needed else []
    return [{label: count} for label, count in sorted(needed.items())]


def classes_to_train(gan: GeneratorConfig, data: PreparedData, needed: dict[str, int]) -> list[str]:
    """Return the classes on which the GAN is trained: all if it is conditional, else the one that is needed."""
    assert gan.conditional or len(needed) == 1
    return list(data.classes) if gan.conditional else list(needed)


def training_places(gan: GeneratorConfig, data: PreparedData, classes: Sequence[str]) -> np.ndarray:
    """Return places (N,) in the training part; with gan.labels=balanced those of small classes are repeated."""
    labels = data.split.labels("train")
    if gan.conditional and gan.labels == "balanced":
        return repeat_small_classes("all", labels, seed=0)
    return np.flatnonzero(np.isin(labels, classes))


def count_steps_per_epoch(gan: GeneratorConfig, data: PreparedData, classes: Sequence[str]) -> int:
    """Return how many batches the training images of the classes fill."""
    return -(-len(training_places(gan, data, classes)) // gan.batch_size)


def check_validation_images(gan: GeneratorConfig, data: PreparedData, classes: list[str]) -> None:
    """Raise ConfigError if KID is asked for and a class has too few validation images for it."""
    if gan.kid_every is None:
        return
    from fer_experiments.evaluation.generated.kid import MIN_IMAGES  # imports torch

    counts = data.split.counts("valid")
    too_small = [label for label in classes if counts.get(label, 0) < MIN_IMAGES]
    if too_small:
        raise ConfigError(
            f"gan.kid_every={gan.kid_every}: {', '.join(too_small)} has fewer than {MIN_IMAGES} validation images "
            "to measure a distance from; use gan.kid_every=null, or a larger data.valid_fraction"
        )


def describe_gan(gan: GeneratorConfig, classes: list[str]) -> str:
    """Return "GAN of angry, happy", or of many classes the first."""
    return f"{gan.noun} of {enumerate_names(classes)}"
