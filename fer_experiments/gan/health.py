"""What can go wrong in a GAN's training, as alarms that name the key to change."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fer_experiments.evaluation.diversity import diversity
from fer_experiments.evaluation.nearest import pixel_features

FEWEST_STEPS = 1000  # the paper's 246,000 images are 3,900 batches of 64
LEAST_DIVERSITY = 0.5  # m real images again and again have 1 - 1 / m of a class's diversity: two of them, a half
ALIKE = 1e-6  # the distance of an image from its copy, but for rounding
WON_REAL, WON_GENERATED = 0.95, 0.05
LAST = 0.1  # of the history
FLAT = 0.03  # standard deviation of a square that counts as flat, of a range of 1: eight grey levels
MOST_FLAT = 0.1  # share of samples with a flat square beyond that of real images
WITH_A_SCORE = ("bce", "non_saturating", "minimax", "hinge", "lsgan")  # a Wasserstein critic's has no zero


@dataclass(frozen=True)
class Alarm:
    """name: what is wrong; message: how it was seen and which keys to change."""

    name: str
    message: str


class Keys(NamedTuple):
    """What an alarm names as the keys to change: of the length of training, and of the discriminator's rate."""

    longer: str = "Set gan.images_seen (246000 is the paper's budget) or more gan.epochs"
    shorter: str = "smaller gan.images_seen or gan.epochs"
    slower: str = "a smaller gan.discriminator_learning_rate"


OF_A_GAN = Keys()


def image_diversity(generated: Tensor, real: Tensor) -> float | None:
    """Mean distance of two generated images of a class, as a share of that of two real ones; about 1 if all is well.

    Images (N, C, S, S) uint8 and (M, C, S, S), compared as 32 x 32 grey pixels without brightness and contrast. None
    where there are not two of both, or the real ones are all alike.
    """
    if min(len(generated), len(real)) < 2:
        return None
    found = diversity(pixel_features(generated), pixel_features(real))
    return found.ratio if found.real > ALIKE else None


def flat_squares(images: Tensor) -> float:
    """Share of images (N, C, S, S) uint8 in which some square of half the side has next to one grey level."""
    grey = images.float().mean(1, keepdim=True) / 255
    side = images.shape[-1] // 2
    mean, mean_of_squares = (F.avg_pool2d(x, side, 1) for x in (grey, grey.square()))
    variance = (mean_of_squares - mean.square()).flatten(1).min(1).values
    return (variance < FLAT**2).float().mean().item()


def last_scores(history: Sequence[dict[str, float]]) -> tuple[float, float]:
    """The discriminator's mean score on real and on generated images over the last tenth of the history's rows."""
    rows = history[-math.ceil(len(history) * LAST) :]
    real, generated = (sum(row[f"gan/score_{name}"] for row in rows) / len(rows) for name in ("real", "generated"))
    return real, generated


def collapsed(diversities: dict[str, float], keys: Keys = OF_A_GAN) -> Alarm | None:
    """diversities: {class: image_diversity}."""
    few = {label: value for label, value in diversities.items() if value < LEAST_DIVERSITY}
    if not few:
        return None
    listed = ", ".join(f"{label} {value:.2f}" for label, value in few.items())
    return Alarm(
        "mode collapse",
        f"samples are alike: their mean distance as a share of real images' is {listed}; under {LEAST_DIVERSITY} they "
        "vary less than two real images repeated. Try gan.diffaugment=color,translation,cutout, gan.ema=5000, or "
        f"{keys.shorter}",
    )


def discriminator_won(history: Sequence[dict[str, float]], loss: str, keys: Keys = OF_A_GAN) -> Alarm | None:
    if loss not in WITH_A_SCORE or not history:
        return None
    real, generated = last_scores(history)
    if real <= WON_REAL or generated >= WON_GENERATED:
        return None
    return Alarm(
        "discriminator has won",
        f"it scores {real:.2f} on real and {generated:.2f} on generated images in the last tenth of training, so the "
        f"generator learns no more. Try gan.diffaugment=color,translation,cutout, {keys.slower}, or {keys.shorter}",
    )


def too_few_steps(steps: int, keys: Keys = OF_A_GAN) -> Alarm | None:
    """steps: batches in all."""
    if steps >= FEWEST_STEPS:
        return None
    return Alarm(
        "too few steps",
        f"{steps} batches, and a GAN that starts from noise needs {FEWEST_STEPS:,} or more. {keys.longer}",
    )


def cutout_leaks(generated: float, real: float, policy: str | None) -> Alarm | None:
    """Shares of generated and of real images with a flat square (flat_squares)."""
    if "cutout" not in (policy or "") or generated <= real + MOST_FLAT:
        return None
    return Alarm(
        "cutout leaks",
        f"{generated:.0%} of the samples have a flat square of half the side, and {real:.0%} of the real images: the "
        "generator draws what the augmentation cuts out. Use gan.diffaugment=color,translation",
    )


@dataclass(frozen=True)
class Health:
    """Alarms, and what they were judged by."""

    alarms: list[Alarm]
    values: dict[str, float]


def examine(
    generated: dict[str, Tensor],
    real: dict[str, Tensor],
    history: Sequence[dict[str, float]],
    *,
    steps: int,
    loss: str,
    policy: str | None,
    keys: Keys = OF_A_GAN,
) -> Health:
    """generated, real: {class: images (N, C, S, S) uint8} of the same side; steps: batches; loss, policy: as in gan."""
    found = {label: image_diversity(images, real[label]) for label, images in generated.items()}
    diversities = {label: value for label, value in found.items() if value is not None}
    flat_generated, flat_real = (flat_squares(torch.cat([*images.values()])) for images in (generated, real))
    judged = [
        collapsed(diversities, keys),
        discriminator_won(history, loss, keys),
        too_few_steps(steps, keys),
        cutout_leaks(flat_generated, flat_real, policy),
    ]
    values = {f"diversity/{label}": value for label, value in diversities.items()}
    if diversities:
        values["diversity"] = min(diversities.values())
    if history:
        values["score_real"], values["score_generated"] = last_scores(history)
    values |= {"steps": steps, "flat_squares": flat_generated, "flat_squares_real": flat_real}
    return Health([alarm for alarm in judged if alarm is not None], values)
