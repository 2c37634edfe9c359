"""What hydra/sweeper=optuna maximizes: a number of each job, measured on validation images and never on test images."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result


def check_direction(sweeper: Any) -> None:
    """Raise ConfigError for a sweeper that would search for the worst, as Optuna's does by default."""
    direction = getattr(sweeper.direction, "name", sweeper.direction)  # an enum of Optuna's unless it is given
    if direction != "maximize":
        raise ConfigError(
            f"hydra.sweeper.direction={direction}: what a job returns must be maximized; use "
            "hydra.sweeper.direction=maximize"
        )


def valid_balanced_accuracy(results: Sequence[Result]) -> float:
    """Return the mean balanced accuracy on validation of the trainings with generated images, or of all if none has.

    Leaking arms do not count, because test images stand in for their validation images.
    """
    clean = [result for result in results if result.protocol == "clean"]
    chosen = [result for result in clean if result.generated] or clean
    return mean(result.metrics["valid"]["balanced_accuracy"] for result in chosen)


def negative_kid(result: Result) -> float:
    """Return minus the kernel inception distance from validation images, at the epoch whose generator is used."""
    (row,) = (row for row in result.history if row["epoch"] == result.selected_epoch and "gan/kid" in row)
    return -row["gan/kid"]
