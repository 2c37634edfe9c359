"""The Trainer of one training of a run, with the callbacks and the loggers that the run's configuration names."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lightning

from fer_experiments.run_naming import KEYS_NOT_HASHED
from fer_experiments.train.settings import Settings
from fer_experiments.trainer.build import build_trainer
from fer_experiments.trainer.callbacks.build import build_callbacks
from fer_experiments.trainer.callbacks.exact_resume import ExactResume
from fer_experiments.trainer.loggers.build import build_loggers, closing
from fer_experiments.trainer.loggers.summary import log_settings

LOGGED_GROUPS = ("data", "balance", "augment", "gan", "classifier", "joint", "trainer")


@dataclass(frozen=True)
class Training:
    """One training of a run.

    Attributes:
        name: what its progress is shown as.
        arm: the arm that it belongs to, or "gan".
        metrics: how the names of its metrics begin, such as "valid/".
        epochs: its length, which trainer.max_epochs may shorten.
        folder: where it is written.
    """

    name: str
    arm: str
    metrics: tuple[str, ...]
    epochs: int
    folder: Path

    @property
    def validates(self) -> bool:
        """Whether the module has a validation step."""
        return "valid/" in self.metrics


@contextmanager
def open_trainer(
    settings: Settings,
    training: Training,
    callbacks: Sequence[lightning.Callback] = (),
    resume: ExactResume | None = None,
) -> Iterator[lightning.Trainer]:
    """Give the Trainer of a training; close its loggers at the end of the block.

    callbacks: those of the training itself, which run before the user's, so that these see what they log. resume: runs
    after all that may draw random numbers when the training starts.
    """
    labels = describe_training(settings, training)
    loggers = build_loggers(settings.logger, labels)
    of_user = build_callbacks(settings.callbacks, training.metrics, training.folder)
    trainer = build_trainer(
        settings.trainer,
        training.name,
        training.epochs,
        training.folder,
        [*callbacks, *of_user, *([] if resume is None else [resume])],
        loggers,
        training.validates,
    )
    groups = {group: getattr(settings, group).model_dump() for group in LOGGED_GROUPS}
    for key in KEYS_NOT_HASHED:  # they may change when a run is continued, and MLflow lets no setting change
        group, _, name = key.partition(".")
        groups.get(group, {}).pop(name, None)
    with closing(loggers):
        log_settings(loggers, {"study": labels["study"], "arm": training.arm, "seed": settings.seed} | groups)
        yield trainer


def describe_training(settings: Settings, training: Training) -> dict[str, str]:
    """Return {label: value}, which the strings of conf/logger may name.

    folder: of the training. study: the name of the study, the sweep or the single run. name: of the training in it.
    arm, seed: of the training.
    """
    run_folder = settings.context.run_folder or training.folder
    is_below = training.folder != run_folder and training.folder.is_relative_to(run_folder)
    place = training.folder.relative_to(run_folder).as_posix() if is_below else training.folder.name
    return {
        "folder": str(training.folder),
        "study": "/".join(run_folder.parts[-2:]),
        "name": place,
        "arm": training.arm,
        "seed": str(settings.seed),
    }
