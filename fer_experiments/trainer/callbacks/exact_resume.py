"""Continue a training from a checkpoint with the same result to the bit as if it had not been interrupted."""

import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning
import torch

from fer_experiments.data.datamodule import ImageDataModule
from fer_experiments.distributed import gather_from_ranks
from fer_experiments.errors import ConfigError
from fer_experiments.trainer.callbacks.checkpoints import LAST_CHECKPOINT
from fer_experiments.trainer.callbacks.weight_average import WeightAverage
from fer_experiments.trainer.fingerprint import check_fingerprint
from fer_experiments.trainer.loggers.event_files import sync_event_files, truncate_event_files
from fer_experiments.trainer.loggers.tensorboard import write_charts
from fer_experiments.trainer.random_state import get_random_state, set_random_state
from fer_experiments.trainer.sigterm import ending_by_sigterm

log = logging.getLogger(__name__)
KEY = "resume"  # of what this callback adds to a checkpoint
RESTORED_KEYS = (  # of the settings in a checkpoint: the optimizers continue with the values there
    *("gan.learning_rate", "gan.discriminator_learning_rate", "gan.betas"),
    *("classifier.optimizer", "classifier.learning_rate", "classifier.schedule"),
)


class ExactResume(lightning.Callback):
    """Add to every checkpoint what Lightning leaves out of it, and restore that where a training continues.

    This is everything else on which the rest of the training depends: the random states, the module's `history`, the
    seconds so far, and the sizes of TensorBoard's files, so that what a killed training wrote after the checkpoint does
    not appear twice. Callbacks that draw random numbers when a training starts must stand before this one.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        """Serve the training in `folder`. fingerprint: of the training (trainer/fingerprint.py)."""
        self.folder, self.fingerprint = folder, fingerprint
        self.last_checkpoint = folder / LAST_CHECKPOINT
        self._start, self._earlier_seconds = time.monotonic(), 0.0
        self._random_state: Mapping[str, Any] | None = None
        self._is_continuation = False
        self._has_stopped = False

    @property
    def seconds(self) -> float:
        """How long the training took, with the time before it was killed, up to the checkpoint it continues from."""
        return self._earlier_seconds + time.monotonic() - self._start

    def fit(
        self,
        trainer: lightning.Trainer,
        model: lightning.LightningModule,
        images: ImageDataModule,
        ckpt_path: Path | None = None,
    ) -> None:
        """Call trainer.fit, from the folder's last checkpoint if there is one, else from ckpt_path if that is given.

        Raises ConfigError if the checkpoint can't be read or is not one of this training, or one from which it could
        begin.
        """
        checkpoint, events = None, {}
        self._is_continuation = self.last_checkpoint.is_file()
        if self._is_continuation:
            checkpoint = self.last_checkpoint
            content = _load(checkpoint, f"{checkpoint}", "start over with rerun=true")[KEY]
            check_fingerprint(self.folder, content["fingerprint"], self.fingerprint)
            events = content["events"]
        elif ckpt_path is not None:
            checkpoint = ckpt_path
            content = _load_start(ckpt_path, trainer, model)
        if trainer.is_global_zero:
            truncate_event_files(self.folder, events)
            if not events:
                write_charts(trainer.loggers)
        if checkpoint is not None:
            self._earlier_seconds = content["seconds"]
            log.info("continuing after epoch %d of %s: %s", content["epoch"], trainer.max_epochs, checkpoint)
        _fit(trainer, model, images, checkpoint)

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        module: Any = pl_module
        checkpoint[KEY] = {
            "fingerprint": self.fingerprint,
            "epoch": trainer.current_epoch + 1,
            "stopped": trainer.should_stop,
            "seconds": self.seconds,
            "history": module.history,
            "random": gather_from_ranks(get_random_state()),
            "events": sync_event_files(trainer.loggers, self.folder),
        }

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        module: Any = pl_module
        module.history = checkpoint[KEY]["history"]
        if self._is_continuation:
            self._has_stopped = checkpoint[KEY]["stopped"]
        else:  # the callbacks of the other training had other settings; only the average of weights goes on
            kept = {WeightAverage.__qualname__}
            checkpoint["callbacks"] = {name: state for name, state in checkpoint["callbacks"].items() if name in kept}
        states = checkpoint[KEY]["random"]
        self._random_state = states[trainer.global_rank] if len(states) == trainer.world_size else None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if self._random_state is not None:  # restored only now, because setting up a training may draw random numbers
            set_random_state(self._random_state)
        if self._has_stopped:  # EarlyStopping or another callback had ended it
            trainer.should_stop = True


def _load(path: Path, name: str, remedy: str) -> dict[str, Any]:
    """Load a checkpoint of this program. Raises ConfigError, which names it and the remedy, if it is none."""
    try:
        checkpoint: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
        checkpoint[KEY]["fingerprint"]
    except Exception as error:  # torch.load raises anything for files that it did not write
        raise ConfigError(
            f"{name}: can't be continued from ({type(error).__name__}: {str(error).splitlines()[0]}); {remedy}"
        ) from None
    return checkpoint


def _load_start(path: Path, trainer: lightning.Trainer, model: lightning.LightningModule) -> dict[str, Any]:
    """Return what this callback added to the checkpoint of another training, from which this one begins.

    Raises ConfigError if it is not of such a training, or if keys differ that would have no effect.
    """
    key = f"ckpt_path={path}"
    remedy = "give checkpoints/last.ckpt of the run of train=dcgan, train=cnn or train=joint that trained it"
    checkpoint = _load(path, key, remedy)
    if reasons := [*_explain_differences(checkpoint, trainer, model)]:
        raise ConfigError("\n".join(f"{key}: {reason}" for reason in reasons))
    content: dict[str, Any] = checkpoint[KEY]
    return content


def _explain_differences(
    checkpoint: Mapping[str, Any], trainer: lightning.Trainer, model: lightning.LightningModule
) -> Iterator[str]:
    """Say why a training of the model can't begin from the checkpoint."""
    saved, present = checkpoint["hyper_parameters"], model.hparams
    weights = model.state_dict()
    tensors = checkpoint["state_dict"]
    names = {**weights, **tensors}
    missing = {name for name in names if name not in weights or name not in tensors}
    different = [name for name in names if name in missing or weights[name].shape != tensors[name].shape]
    networks = [name for name in different if not name.startswith("objective.")]
    if networks:
        yield (
            f"holds another network ({networks[0]} differs); choose its classes, the network's keys, gan.ema, "
            "gan.lecam, gan.ada_target and gan.transition as in its run"
        )
        return
    schedule = saved.get("classifier", {}).get("schedule")
    if schedule is not None:
        yield f"its learning rate schedule {schedule} ends with its training; use one with classifier.schedule=null"
        return
    if saved.get("gan", {}).get("transition") is not None:
        yield "its gan.transition would begin anew, as it is a share of the training; use one with gan.transition=null"
        return
    fixed = [name for name in names if name.startswith("objective.") and name != "objective.weights"]
    if any(name in different or not torch.equal(weights[name].cpu(), tensors[name]) for name in fixed):
        yield "its balance strategy weighted or shifted classes otherwise; choose balance and its keys as in its run"
    if saved["provenance"]["split_hash"] != present["provenance"]["split_hash"]:
        yield (
            f"was trained on the split {saved['provenance']['split_hash']}, but this run's split is "
            f"{present['provenance']['split_hash']}, so that it may have seen validation or test images; set the data "
            "keys and the seed as in its run"
        )
    if checkpoint[KEY]["epoch"] >= (trainer.max_epochs or 0):
        yield f"has {checkpoint[KEY]['epoch']} epochs, and this training ends after {trainer.max_epochs}; set more"
    for key in RESTORED_KEYS:
        group, _, name = key.partition(".")
        old, new = (values.get(group, {}).get(name) for values in (saved, present))
        if old != new:
            yield f"{key}={new} would have no effect: the optimizer continues with {old}; set {key}={old}"


def _fit(
    trainer: lightning.Trainer, model: lightning.LightningModule, images: ImageDataModule, checkpoint: Path | None
) -> None:
    """Call trainer.fit; raise KeyboardInterrupt after Ctrl-C, where Lightning raises SystemExit."""
    try:
        with ending_by_sigterm(trainer):
            trainer.fit(model, datamodule=images, ckpt_path=checkpoint, weights_only=True)
    except SystemExit as exit_request:
        if isinstance(exit_request.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
