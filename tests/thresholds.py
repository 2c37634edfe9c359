"""How much balanced accuracy a threshold loses that is chosen on few validation images, by the way of choosing it.

python -m tests.thresholds
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize, stats

from fer_experiments.evaluation.threshold import fit_shift

Array = np.ndarray[Any, Any]
SEPARATION, STUDIES = 1.6, 200
KINDS = {"calibrated": (1.0, -2.0, 4), "too sure": (4.0, -6.0, 4), "too sure, no outliers": (4.0, -6.0, 10**6)}
"""Scale and bias of the difference of two logits, and the degrees of freedom of Student's t from which it is drawn."""


def draw(rng: np.random.Generator, kind: str, positives: int, negatives: int) -> tuple[Array, Array]:
    """Draw differences of logits (N,), and labels (N,)."""
    scale, bias, freedom = KINDS[kind]
    labels = np.repeat([1, 0], [positives, negatives])
    noise = stats.t.rvs(freedom, size=len(labels), random_state=rng)
    return scale * (noise + SEPARATION * (labels - 0.5)) + bias, labels


def balanced_accuracy(values: Array, labels: Array, shift: float) -> float:
    return float(((values[labels == 1] + shift > 0).mean() + (values[labels == 0] + shift <= 0).mean()) / 2)


def argmax(values: Array, labels: Array) -> float:
    return 0.0


def highest_balanced_accuracy(values: Array, labels: Array) -> float:
    order = np.sort(values)
    middles = -np.concatenate([[order[0] - 1], (order[1:] + order[:-1]) / 2, [order[-1] + 1]])
    scores = np.array([balanced_accuracy(values, labels, shift) for shift in middles])
    return float(np.median(middles[scores >= scores.max() - 1e-12]))


def balanced_cross_entropy(values: Array, labels: Array) -> float:
    """The package's way."""
    shift = fit_shift(np.stack([np.zeros_like(values), values], 1), labels)
    return float(shift[1] - shift[0])


def with_temperature(values: Array, labels: Array) -> float:
    """The same with a temperature, two parameters."""
    positives, negatives = values[labels == 1], values[labels == 0]

    def loss(parameters: Array) -> float:
        scale = np.exp(parameters[0])
        first = np.logaddexp(0, -(scale * positives + parameters[1])).mean()
        return float(first + np.logaddexp(0, scale * negatives + parameters[1]).mean() + 1e-3 * parameters[0] ** 2)

    solution = optimize.minimize(loss, [-1.0, 0.0]).x
    return float(solution[1] / np.exp(solution[0]))


def equal_recalls(values: Array, labels: Array) -> float:
    positives, negatives = values[labels == 1], values[labels == 0]

    def excess(shift: float) -> float:
        return float((positives + shift > 0).mean() - (negatives + shift <= 0).mean())

    return float(optimize.bisect(excess, -1000, 1000))


CHOICES: dict[str, Callable[[Array, Array], float]] = {
    "largest logit": argmax,
    "highest balanced accuracy": highest_balanced_accuracy,
    "equal recalls": equal_recalls,
    "balanced cross-entropy, temperature": with_temperature,
    "balanced cross-entropy": balanced_cross_entropy,
}


def main() -> None:
    print(f"| validation images | logits | {' | '.join(CHOICES)} |\n| --: | --- |{' --: |' * len(CHOICES)}")
    for positives, negatives in ((4, 90), (9, 90), (25, 90), (82, 90)):
        for kind in KINDS:
            rng = np.random.default_rng(0)
            test = draw(rng, kind, 20_000, 20_000)
            best = max(balanced_accuracy(*test, -cut) for cut in np.quantile(test[0], np.linspace(0.02, 0.98, 97)))
            losses: dict[str, list[float]] = {name: [] for name in CHOICES}
            for _ in range(STUDIES):
                validation = draw(rng, kind, positives, negatives)
                for name, choose in CHOICES.items():
                    losses[name].append(best - balanced_accuracy(*test, choose(*validation)))
            means = " | ".join(f"{100 * np.mean(values):.1f}" for values in losses.values())
            print(f"| {positives} and {negatives} | {kind} | {means} |", flush=True)


if __name__ == "__main__":
    main()
