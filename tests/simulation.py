"""Studies with a known truth: two arms, several seeds, one test set, and noise on both levels."""

import math

import numpy as np
from scipy.stats import norm

DIFFICULTY, TASTE, TRAINING, LUCK = 1.0, 0.25, 0.06, 0.5
"""Standard deviations of what makes an image hard for both arms, for one arm alone, of a seed's network being good
or bad at all images, and of a seed and an image together. In the scale of a probit."""
TOTAL = math.sqrt(DIFFICULTY**2 + TASTE**2 + TRAINING**2 + LUCK**2)


def simulate(
    rng: np.random.Generator, seeds: int, images: int, effect: float = 0.0, accuracy: float = 0.8
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions of A and B (seeds, images) and labels (images,), two classes, evenly.

    B is right with probability `accuracy`, A with accuracy + effect, in expectation over everything random. The seeds'
    differences of A and B spread by about 2 points besides what single images add, as real ones do (FACTS of the
    paper's setting: 1 to 2 points).
    """
    labels = np.arange(images) % 2
    difficulty = rng.normal(0, DIFFICULTY, images)
    predictions = []
    for wanted in (accuracy + effect, accuracy):
        ability = (
            norm.ppf(wanted) * TOTAL
            + difficulty
            + rng.normal(0, TASTE, images)
            + rng.normal(0, TRAINING, (seeds, 1))
            + rng.normal(0, LUCK, (seeds, images))
        )
        predictions.append(np.where(ability > 0, labels, 1 - labels))
    return predictions[0], predictions[1], labels
