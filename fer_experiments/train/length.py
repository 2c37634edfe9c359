"""Trainings that are shorter than configured, all by the same share (train.length)."""

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from fer_experiments.gan import GeneratorConfig
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.settings import Settings

SHARES = (0.75, 0.5, 0.33, 0.25, 0.16, 0.12)  # among which train.length=auto chooses


def shorten(settings: Settings, arms: Sequence[Arm], share: float) -> tuple[Settings, list[Arm]]:
    """Return settings and arms whose generators and classifiers have this share of their lengths, rounded up."""
    if share == 1:
        return settings, list(arms)
    classifier = settings.classifier
    changes = {
        "gan": _shorten_generator(settings.gan, share),
        "classifier": classifier.model_copy(update={"epochs": _scale(classifier.epochs, share)}),
    }
    shorter = [replace(arm, gan=None if arm.gan is None else _shorten_generator(arm.gan, share)) for arm in arms]
    return settings.model_copy(update=changes), shorter


def _shorten_generator(gan: GeneratorConfig, share: float) -> GeneratorConfig:
    lengths = {"epochs": gan.epochs, "images_seen": gan.images_seen}
    return gan.model_copy(update={key: _scale(length, share) for key, length in lengths.items() if length is not None})


def _scale(length: int, share: float) -> int:
    return math.ceil(Fraction(str(share)) * length)  # 0.1 * 30 is over 3 as a float
