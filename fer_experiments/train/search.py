"""What hydra/sweeper=optuna maximises: a number of each job, measured on validation images and never on test ones."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import Any

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result


def check_direction(sweeper: Any) -> None:
    """Raises ConfigError for a sweeper that would search for the worst; its own default does."""
    direction = getattr(sweeper.direction, "name", sweeper.direction)  # Optuna's is an enum until it is given
    if direction != "maximize":
        raise ConfigError(
            f"hydra.sweeper.direction={direction}: what a job returns is to be maximised; use "
            "hydra.sweeper.direction=maximize"
        )


def valid_balanced_accuracy(results: Sequence[Result]) -> float:
    """Balanced accuracy on validation, the mean of clean trainings that had generated images, or, if none had, of all.

    A leaking arm has test images in the place of validation.
    """
    clean = [result for result in results if result.protocol == "clean"]
    chosen = [result for result in clean if result.generated] or clean
    return mean(result.metrics["valid"]["balanced_accuracy"] for result in chosen)


def nearness(result: Result) -> float:
    """Minus the kernel inception distance from validation images, of the generator that makes a GAN's images."""
    (row,) = (row for row in result.history if row["epoch"] == result.selected_epoch and "gan/kid" in row)
    return -row["gan/kid"]
