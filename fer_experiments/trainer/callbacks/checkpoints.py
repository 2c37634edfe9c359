"""The checkpoints of a training, which Lightning's ModelCheckpoint writes: the last one and the best one."""

from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result, Trained

BEST_CHECKPOINT, LAST_CHECKPOINT = Path("checkpoints", "best.ckpt"), Path("checkpoints", "last.ckpt")


class BestCheckpoint(ModelCheckpoint):
    """Write the weights to checkpoints/best.ckpt whenever a metric is better than in all epochs before."""

    def __init__(self, folder: Path, monitor: str, mode: str, first_epoch: int = 1) -> None:
        """Write into `folder`.

        Args:
            folder: of the training.
            monitor: the metric.
            mode: "max" if more of it is better, else "min".
            first_epoch: earlier ones, counted from 1, are not chosen.
        """
        self.file, self.first_epoch = folder / BEST_CHECKPOINT, first_epoch
        self.best_epoch: int | None = None
        super().__init__(
            self.file.parent,
            filename=self.file.stem,
            monitor=monitor,
            mode=mode,
            save_weights_only=True,
            enable_version_counter=False,
        )

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best score, also if the folder has been moved, for which Lightning forgets it.

        If the file is of a later epoch, written before the training was killed, the search for the best begins anew.
        """
        best_epoch = state_dict.get("best_epoch")  # checkpoints of version 0.1.0 have none
        if state_dict["best_k_models"] and self.file.is_file():
            if best_epoch not in (None, read_epoch(self.file)):
                return
            path = str(Path(str(self.dirpath), self.file.name))
            changes = {"best_model_path": path, "kth_best_model_path": path, "dirpath": self.dirpath}
            state_dict = state_dict | changes | {"best_k_models": {path: state_dict["best_model_score"]}}
        super().load_state_dict(state_dict)
        self.best_epoch = best_epoch

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        module: Any = pl_module
        epoch, row = trainer.current_epoch + 1, module.history[-1]
        is_measured = row["epoch"] == epoch and self.monitor in row  # KID is not, in every epoch
        if is_measured and epoch >= self.first_epoch:
            score = self.best_model_score
            super().on_train_epoch_end(trainer, pl_module)
            if self.best_model_score is not score:
                self.best_epoch = epoch


class LastCheckpoint(ModelCheckpoint):
    """Write checkpoints/last.ckpt, from which a training continues, every so many epochs and after the last one."""

    def __init__(self, folder: Path, every: int) -> None:
        """Write into `folder` after every `every`-th epoch."""
        self.file, self.every = folder / LAST_CHECKPOINT, every
        super().__init__(
            self.file.parent,
            filename=self.file.stem,
            every_n_epochs=every,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        is_last = trainer.should_stop or epoch == trainer.max_epochs
        if is_last and epoch % self.every:
            trainer.save_checkpoint(self.file)
        else:
            super().on_train_epoch_end(trainer, pl_module)


def find_checkpoint(path: Path, generator: bool = False) -> Path:
    """Return `path`, or if it is the folder of a training, the checkpoint there that result.json measures.

    generator: whether a generator is wanted; that of a joint training is in its last checkpoint. Raises ConfigError for
    a folder without a result or without that checkpoint.
    """
    if not path.is_dir():
        return path
    result = Result.load_or_none(path)
    if result is None:
        folders = (file.parent for file in sorted(path.glob("seed_*/*/checkpoints")) if file.is_dir())
        trainings = [each for each in folders if each.name.startswith("gan") == generator]
        example = (
            f"the folder of one training, such as {trainings[0]}" if trainings else "the folder of a finished training"
        )
        raise ConfigError(f"{path}: has no {Result.file_name} that names a checkpoint; give {example}, or a checkpoint")
    if generator and result.job is Trained.CLASSIFIER:
        return path / LAST_CHECKPOINT
    for file in (path / BEST_CHECKPOINT, path / LAST_CHECKPOINT):
        if file.is_file() and _is_of_epoch(file, result.selected_epoch):
            return file
    raise ConfigError(
        f"{path}: has no checkpoint of epoch {result.selected_epoch}, which its {Result.file_name} measures; give a "
        "checkpoint"
    )


def _is_of_epoch(checkpoint: Path, epoch: int | None) -> bool:
    try:
        return read_epoch(checkpoint) == epoch
    except Exception:  # torch.load raises anything for files that it did not write
        return False


def read_epoch(checkpoint: Path) -> int:
    """Return the epoch of a checkpoint, counted from 1. Lightning counts from 0, and writes within the epoch."""
    return int(torch.load(checkpoint, weights_only=True, map_location="cpu", mmap=True)["epoch"]) + 1
