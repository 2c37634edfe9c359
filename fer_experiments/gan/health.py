"""Alarms about a GAN's training, which name the configuration keys to change."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fer_experiments.enumeration import enumerate_names
from fer_experiments.evaluation.generated.diversity import diversity
from fer_experiments.evaluation.generated.nearest import pixel_features
from fer_experiments.gan.config import LOSSES_WITHOUT_ZERO
from fer_experiments.gan.generator_config import MIN_STEPS

MIN_DIVERSITY = 0.5  # m real images, repeated, have 1 - 1 / m of the diversity of their class: two of them have a half
MIN_REAL_DIVERSITY = 1e-6  # below this, real images are copies of each other; rounding leaves more than 0
MAX_SCORE_REAL, MIN_SCORE_GENERATED = 0.95, 0.05  # the discriminator has won if its scores are beyond both
LAST_FRACTION = 0.1  # of the history, over which scores are averaged
MAX_FLAT_DEVIATION = 0.03  # standard deviation of a flat square, for pixels in [0, 1]: eight grey levels
AUGMENTED = "'gan.diffaugment=\"color,translation,cutout\"'"  # as it is typed
MAX_EXCESS_FLAT = 0.1  # by how much the fraction of samples with a flat square may exceed that of real images


@dataclass(frozen=True)
class Alarm:
    """A fault of a training. message: the numbers that show it, and the keys to change."""

    name: str
    message: str


class Advice(NamedTuple):
    """How alarms advise to train longer, to train less, and to make the discriminator learn more slowly."""

    longer: str = "Set gan.images_seen (246000 is the paper's budget) or more gan.epochs"
    shorter: str = "smaller gan.images_seen or gan.epochs"
    slower: str = "a smaller gan.discriminator_learning_rate"


GAN_ADVICE = Advice()


@dataclass(frozen=True)
class Health:
    """The alarms of a training, and the values that they depend on, by name."""

    alarms: list[Alarm]
    values: dict[str, float]


def examine_gan(
    samples: Iterable[tuple[str, Tensor, Tensor]],
    history: Sequence[dict[str, float]],
    *,
    steps: int,
    loss: str | None,
    policy: str | None,
    advice: Advice = GAN_ADVICE,
) -> Health:
    """Look for every fault of a training.

    Args:
        samples: of each class its name, samples (N, C, S, S) uint8 and training images (M, C, S, S) uint8.
        history: rows with gan/score_real and gan/score_generated, the means over some steps each, if there is a `loss`.
        steps: how many batches the training had.
        loss: gan.loss; None for a generator without a discriminator.
        policy: gan.diffaugment.
        advice: which keys the alarms advise to change.
    """
    diversities: dict[str, float] = {}
    is_flat: list[list[Tensor]] = [[], []]
    for label, *images in samples:  # one class at a time, because there may be a thousand
        ratio = compute_diversity_ratio(*images)
        if ratio is not None:
            diversities[label] = ratio
        for flags, part in zip(is_flat, images, strict=True):
            flags.append(has_flat_square(part))
    flat_generated, flat_real = (torch.cat(flags).float().mean().item() for flags in is_flat)
    if steps < MIN_STEPS:
        advice = advice._replace(shorter="")  # no remedy of a training that is too short already
    alarms = [
        detect_mode_collapse(diversities, advice),
        detect_winning_discriminator(history, loss, advice),
        detect_short_training(steps, advice),
        detect_cutout_leak(flat_generated, flat_real, policy),
    ]
    values = {f"diversity/{label}": ratio for label, ratio in diversities.items()}
    if diversities:
        values["diversity"] = min(diversities.values())
    if history and loss is not None:
        values["score_real"], values["score_generated"] = compute_last_scores(history)
    values |= {"steps": steps, "flat_squares": flat_generated, "flat_squares_real": flat_real}
    return Health([alarm for alarm in alarms if alarm is not None], values)


def compute_diversity_ratio(generated: Tensor, real: Tensor) -> float | None:
    """Return the mean distance of two generated images of a class as a fraction of that of two real ones, ideally 1.

    Images (N, C, S, S) and (M, C, S, S) uint8 are compared as 32 x 32 grey pixels without brightness and contrast.
    None if there are fewer than two of either, or if the real ones are all the same.
    """
    if min(len(generated), len(real)) < 2:
        return None
    distances = diversity(pixel_features(generated), pixel_features(real))
    return distances.ratio if distances.real > MIN_REAL_DIVERSITY else None


def has_flat_square(images: Tensor) -> Tensor:
    """Return which images (N, C, S, S) uint8 have a nearly uniform square of half the side: (N,) bool."""
    grey = images.float().mean(1, keepdim=True) / 255
    side = images.shape[-1] // 2
    mean, mean_of_squares = (F.avg_pool2d(x, side, 1) for x in (grey, grey.square()))
    variance = (mean_of_squares - mean.square()).flatten(1).min(1).values
    return variance < MAX_FLAT_DEVIATION**2


def compute_last_scores(history: Sequence[dict[str, float]]) -> tuple[float, float]:
    """Return the discriminator's mean score of real and of generated images over the last tenth of the rows."""
    rows = history[-math.ceil(len(history) * LAST_FRACTION) :]
    real, generated = (sum(row[f"gan/score_{name}"] for row in rows) / len(rows) for name in ("real", "generated"))
    return real, generated


def detect_mode_collapse(diversities: dict[str, float], advice: Advice = GAN_ADVICE) -> Alarm | None:
    """Return an alarm if samples of a class are too much alike. diversities: {class: compute_diversity_ratio}."""
    collapsed = {label: ratio for label, ratio in diversities.items() if ratio < MIN_DIVERSITY}
    if not collapsed:
        return None
    lowest = sorted(collapsed, key=lambda label: collapsed[label])
    listed = enumerate_names([f"{label} {collapsed[label]:.2f}" for label in lowest])
    return Alarm(
        "mode collapse",
        f"samples are alike: their mean distance as a fraction of that of real images is {listed}; under "
        f"{MIN_DIVERSITY} they vary less than two real images repeated. Try {AUGMENTED}, "
        f"{_join('gan.ema=5000', advice.shorter)}",
    )


def detect_winning_discriminator(
    history: Sequence[dict[str, float]], loss: str | None, advice: Advice = GAN_ADVICE
) -> Alarm | None:
    """Return an alarm if the discriminator scores nearly all images right at the end of the training."""
    if loss is None or loss in LOSSES_WITHOUT_ZERO or not history:
        return None
    real, generated = compute_last_scores(history)
    if real <= MAX_SCORE_REAL or generated >= MIN_SCORE_GENERATED:
        return None
    return Alarm(
        "discriminator has won",
        f"its score is {real:.2f} on real and {generated:.2f} on generated images in the last tenth of training, so "
        f"that the generator learns nothing more. Try {AUGMENTED}, {_join(advice.slower, advice.shorter)}",
    )


def _join(first: str, second: str) -> str:
    """Return the end of a list of remedies: "first, or second", and "or first" if the second is ""."""
    return f"{first}, or {second}" if second else f"or {first}"


def detect_short_training(steps: int, advice: Advice = GAN_ADVICE) -> Alarm | None:
    """Return an alarm if the training had too few steps (batches)."""
    if steps >= MIN_STEPS:
        return None
    return Alarm(
        "too few steps",
        f"{steps} batches, and a generator that starts from noise needs {MIN_STEPS:,} or more. {advice.longer}",
    )


def detect_cutout_leak(generated: float, real: float, policy: str | None) -> Alarm | None:
    """Return an alarm if samples show the squares of cutout. generated, real: the shares with one."""
    if "cutout" not in (policy or "") or generated <= real + MAX_EXCESS_FLAT:
        return None
    return Alarm(
        "cutout leaks",
        f"{generated:.0%} of the samples have a flat square of half the side, and {real:.0%} of the real images: the "
        "generator draws what the augmentation cuts out. Use 'gan.diffaugment=\"color,translation\"'",
    )
