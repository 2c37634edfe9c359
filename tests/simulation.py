"""Predictions of studies with a known truth: two arms, several seeds, one test set, and noise on both levels."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import norm

from fer_experiments.evaluation.arm_comparisons import ArmPredictions

DIFFICULTY, PREFERENCE, TRAINING, RESIDUAL = 1.0, 0.25, 0.06, 0.5
"""Standard deviations, in the scale of a probit, of an image's difficulty for both arms, of its difficulty for one arm
alone, of how good a seed's network is at all images, and of a seed and an image together."""
TOTAL = math.sqrt(DIFFICULTY**2 + PREFERENCE**2 + TRAINING**2 + RESIDUAL**2)


def simulate(
    rng: np.random.Generator, seeds: int, images: int, effect: float = 0.0, accuracy: float = 0.8
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw predictions of A and B (seeds, images) and labels (images,) of two even classes.

    B is right with probability `accuracy`, A with accuracy + effect, in expectation over everything random. The seeds'
    differences of A and B spread by about 2 points besides what single images add, as real ones do (1 to 2 points in
    the paper's setting).
    """
    labels = np.arange(images) % 2
    difficulty = rng.normal(0, DIFFICULTY, images)
    predictions = []
    for expected_accuracy in (accuracy + effect, accuracy):
        ability = (
            norm.ppf(expected_accuracy) * TOTAL
            + difficulty
            + rng.normal(0, PREFERENCE, images)
            + rng.normal(0, TRAINING, (seeds, 1))
            + rng.normal(0, RESIDUAL, (seeds, images))
        )
        predictions.append(np.where(ability > 0, labels, 1 - labels))
    return predictions[0], predictions[1], labels


def draw_uneven_arms() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw predictions of two arms (4, 300) and labels (300,) of 7 uneven classes."""
    rng = np.random.default_rng(3)
    labels = rng.choice(7, 300, p=[0.3, 0.25, 0.2, 0.1, 0.07, 0.05, 0.03])
    return _draw_noisy(rng, labels, 0.7), _draw_noisy(rng, labels, 0.5), labels


def _draw_noisy(rng: np.random.Generator, labels: np.ndarray, known: float) -> np.ndarray:
    """Draw predictions of 4 seeds that know a share of the labels and guess the rest."""
    is_known = rng.random((4, len(labels))) < known
    return np.where(is_known, labels, rng.integers(0, 7, (4, len(labels))))


LABELS = np.repeat([0, 1], 300)


def make_arm(
    name: str,
    accuracy: float,
    validation: float | None = None,
    seeds: Sequence[int] = range(10),
    split: str = "",
    seed: int = 1,
) -> ArmPredictions:
    """Make predictions for LABELS that are right on about a share `accuracy`, as far as possible for all arms the same.

    Args:
        name: of the arm; it has generated images if "dcgan" is a part.
        accuracy: on the test images.
        validation: the metric on validation; None: `accuracy`.
        seeds: that the arm finished.
        split: the beginning of the splits' hashes.
        seed: draws the small part that differs from arm to arm.
    """
    difficulty = np.random.default_rng(0).random(len(LABELS))
    noise = np.random.default_rng([seed, *name.encode()]).normal(0, 0.02, (len(seeds), len(LABELS)))
    predictions = np.where(difficulty + noise < accuracy, LABELS, 1 - LABELS)
    splits = {number: f"{split}{number}" for number in seeds}
    return ArmPredictions(name, splits, predictions, accuracy if validation is None else validation, "dcgan" in name)


def simulate_study(
    rng: np.random.Generator,
    accuracies: Mapping[str, float],
    seeds: int,
    labels: np.ndarray,
    collapses: Mapping[str, float] | None = None,
    cluster_size: int = 1,
) -> list[ArmPredictions]:
    """Draw the predictions of a study's arms, by the model of `simulate`.

    Args:
        rng: draws everything.
        accuracies: {arm: probability that it is right}; it has generated images if "dcgan" is a part of its name.
        seeds: of each arm.
        labels: (images,) class indices.
        collapses: {arm: probability that a seed of it predicts class 0 for every image}.
        cluster_size: how many images in a row share their difficulties.
    """
    images = len(labels)

    def draw_by_cluster(deviation: float) -> np.ndarray:
        return rng.normal(0, deviation, -(-images // cluster_size)).repeat(cluster_size)[:images]

    difficulty, arms = draw_by_cluster(DIFFICULTY), []
    for name, accuracy in accuracies.items():
        ability = norm.ppf(accuracy) * TOTAL + difficulty + draw_by_cluster(PREFERENCE)
        ability = ability + rng.normal(0, TRAINING, (seeds, 1)) + rng.normal(0, RESIDUAL, (seeds, images))
        predictions = np.where(ability > 0, labels, (labels + 1) % (labels.max() + 1))
        predictions[rng.random(seeds) < (collapses or {}).get(name, 0.0)] = 0
        splits = {seed: str(seed) for seed in range(seeds)}
        arms.append(ArmPredictions(name, splits, predictions, accuracy, "dcgan" in name))
    return arms
