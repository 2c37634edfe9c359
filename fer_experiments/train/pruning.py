"""Stop the training of a sweep's job that does worse than the jobs before it, as Optuna's pruners decide."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.runs.sweep_progress import SweepPlan

if TYPE_CHECKING:
    from optuna import Trial
    from optuna.pruners import BasePruner

log = logging.getLogger(__name__)


class Pruning(lightning.Callback):
    """Report a metric to an Optuna pruner after each epoch, and stop the training if the pruner says so.

    Hydra's Optuna sweeper does not hand its trials to the jobs, so that the pruner compares the training with those of
    the jobs in the same sweep that have ended, by the histories in their result.json. A training that is stopped is
    measured as any other, and the sweeper gets its value.
    """

    def __init__(self, monitor: str, mode: str, first_epoch: int, pruner: "BasePruner") -> None:
        """Compare a metric.

        Args:
            monitor: the metric.
            mode: "max" if more of it is better, else "min".
            first_epoch: at which the pruner can stop a training.
            pruner: decides.
        """
        self.monitor, self.mode, self.first_epoch, self.pruner = monitor, mode, first_epoch, pruner
        self.trial: Trial | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        import optuna

        if (trainer.max_epochs or 0) <= self.first_epoch:
            log.warning(
                "callbacks.pruning.first_epoch=%d: this training has %s epochs, so that it can't be stopped earlier; "
                "choose a smaller one, or train longer",
                self.first_epoch,
                trainer.max_epochs,
            )
        folder = Path(trainer.default_root_dir)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(direction="maximize" if self.mode == "max" else "minimize", pruner=self.pruner)
        for values in self._read_earlier_values(folder):
            earlier = study.ask()
            for epoch, value in values.items():
                earlier.report(value, epoch)
                earlier.should_prune()  # successive halving notes here how far a trial got
            study.tell(earlier, max(values.values()) if self.mode == "max" else min(values.values()))
        self.trial = study.ask()
        module: Any = pl_module
        for epoch, value in self._select_values(module.history).items():  # of a training that is continued
            self.trial.report(value, epoch)
            self.trial.should_prune()

    def _read_earlier_values(self, folder: Path) -> Iterator[dict[int, float]]:
        """Give {epoch: value} of the same training in each other job of the sweep, if it has ended."""
        sweep = next((place for place in folder.parents[:3] if (place / SweepPlan.file_name).is_file()), None)
        if sweep is None:
            raise ConfigError(
                f"callbacks: {type(self).__name__} compares a training with those of the other jobs of a sweep, and "
                f"{folder} is none of a sweep's jobs; add -m with the keys to search, or use callbacks=early_stopping"
            )
        _, *place = folder.relative_to(sweep).parts
        for file in sorted(sweep.glob(str(Path("*", *place, Result.file_name)))):
            values = self._select_values(Result.load(file.parent).history) if file.parent != folder else {}
            if values:
                yield values

    def _select_values(self, history: Sequence[Mapping[str, float]]) -> dict[int, float]:
        return {int(row["epoch"]): row[self.monitor] for row in history if self.monitor in row}

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        module: Any = pl_module
        epoch = trainer.current_epoch + 1
        value = self._select_values(module.history).get(epoch)  # callback_metrics would repeat the last KID
        if value is None or self.trial is None:
            return
        self.trial.report(value, epoch)
        if trainer.strategy.reduce_boolean_decision(self.trial.should_prune(), all=False):
            log.info("stopped by the pruner after epoch %d, where %s is %.3f", epoch, self.monitor, value)
            trainer.should_stop = True
