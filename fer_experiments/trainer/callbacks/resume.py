"""Continue a training that was killed, with the same result to the bit as if it had not been."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint

from fer_experiments.data.datamodule import ImageDataModule
from fer_experiments.distributed import gather_from_ranks
from fer_experiments.errors import ConfigError
from fer_experiments.trainer.fingerprint import check_fingerprint
from fer_experiments.trainer.loggers.event_files import sync_event_files, truncate_event_files
from fer_experiments.trainer.loggers.tensorboard import write_charts
from fer_experiments.trainer.random_state import get_random_state, set_random_state

log = logging.getLogger(__name__)
LAST_CHECKPOINT = Path("checkpoints", "last.ckpt")
KEY = "resume"  # of what this callback adds to a checkpoint


class Resume(Checkpoint):
    """Write checkpoints/last.ckpt at the end of every `every`-th epoch and of the last one, and continue from it.

    Beside what Lightning keeps, the checkpoint holds everything else on which the rest of the training depends: the
    random states, the module's `history`, the seconds so far, and the sizes of TensorBoard's files, so that what a
    killed training wrote after the checkpoint does not appear twice. Lightning calls callbacks of this kind last, when
    the epoch is over for all others.
    """

    def __init__(self, folder: Path, every: int, fingerprint: str) -> None:
        """Write into `folder` every so many epochs. fingerprint: of the training (trainer/fingerprint.py)."""
        self.folder, self.every, self.fingerprint = folder, every, fingerprint
        self.file = folder / LAST_CHECKPOINT
        self._start, self._earlier_seconds = time.monotonic(), 0.0
        self._random_state: Mapping[str, Any] | None = None

    @property
    def seconds(self) -> float:
        """How long the training took, with the time before it was killed, up to the checkpoint it continues from."""
        return self._earlier_seconds + time.monotonic() - self._start

    def fit(self, trainer: lightning.Trainer, model: lightning.LightningModule, images: ImageDataModule) -> None:
        """Call trainer.fit, from the checkpoint if there is one.

        Raises ConfigError if the checkpoint can't be read or is another training's.
        """
        checkpoint = self._load_checkpoint()
        if trainer.is_global_zero:
            truncate_event_files(self.folder, {} if checkpoint is None else checkpoint["events"])
            if checkpoint is None:
                write_charts(trainer.logger)
        if checkpoint is not None:
            self._earlier_seconds = checkpoint["seconds"]
            log.info("continuing after epoch %d of %s: %s", checkpoint["epoch"], trainer.max_epochs, self.file)
        _fit(trainer, model, images, None if checkpoint is None else self.file)

    def _load_checkpoint(self) -> dict[str, Any] | None:
        """Return what this callback added to the checkpoint; None if there is no checkpoint."""
        if not self.file.is_file():
            return None
        try:
            checkpoint = torch.load(self.file, weights_only=True, map_location="cpu", mmap=True)
            content: dict[str, Any] = checkpoint[KEY]
        except Exception as error:  # torch.load raises anything for files that it did not write
            raise ConfigError(
                f"{self.file}: can't be continued from ({type(error).__name__}: {str(error).splitlines()[0]}); start "
                "over with rerun=true"
            ) from None
        check_fingerprint(self.folder, content["fingerprint"], self.fingerprint)
        return content

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every == 0 or epoch == trainer.max_epochs:
            trainer.save_checkpoint(self.file)

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        module: Any = pl_module
        checkpoint[KEY] = {
            "fingerprint": self.fingerprint,
            "epoch": trainer.current_epoch + 1,
            "seconds": self.seconds,
            "history": module.history,
            "random": gather_from_ranks(get_random_state()),
            "events": sync_event_files(trainer.logger, self.folder),
        }

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        module: Any = pl_module
        module.history = checkpoint[KEY]["history"]
        self._random_state = checkpoint[KEY]["random"][trainer.global_rank]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self._random_state is not None:  # restored only now, because setting up a training may draw random numbers
            set_random_state(self._random_state)


def _fit(
    trainer: lightning.Trainer, model: lightning.LightningModule, images: ImageDataModule, checkpoint: Path | None
) -> None:
    """Call trainer.fit; raise KeyboardInterrupt after Ctrl-C, where Lightning raises SystemExit."""
    try:
        trainer.fit(model, datamodule=images, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as exit_request:
        if isinstance(exit_request.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
