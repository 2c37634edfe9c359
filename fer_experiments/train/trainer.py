"""Lightning's Trainer from conf/trainer/, with progress and TensorBoard."""

import io
import logging
import time
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import lightning
import torch
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from pydantic import Field, model_validator

from fer_experiments.progress import Advance, stage
from fer_experiments.spec import Spec
from fer_experiments.train import ranks
from fer_experiments.train.capture import CaptureSteps
from fer_experiments.train.ranks import OnSeveral
from fer_experiments.whole import whole

Limit = Annotated[int, Field(ge=1)]
SECONDS_BETWEEN_UPDATES = 0.2  # reading a metric waits for the device

# Said once for each Trainer, of which a study makes a dozen; and batches come from a memory map, which needs no
# workers.
for part in ("pytorch", "fabric"):
    logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", ".*does not have many workers.*")
warnings.filterwarnings("ignore", ".*passed in a `val_dataloader` but have no `validation_step`.*")
warnings.filterwarnings("ignore", ".*number of training batches.*smaller than the logging interval.*")
warnings.filterwarnings("ignore", ".*treespec, LeafSpec.*")  # lightning 2.6 under torch 2.15
warnings.filterwarnings("ignore", ".*sync_dist=True.*")  # what is logged is the same in every process
warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")


class TrainerConfig(Spec):
    accelerator: Literal["auto", "cpu", "gpu"]
    devices: Limit
    num_nodes: Limit
    strategy: str
    precision: Literal["32-true", "bf16-mixed"]
    tf32: bool
    capture: Literal["auto"] | bool
    max_epochs: Limit | None
    limit_batches: Limit | None
    progress: bool

    @model_validator(mode="after")
    def _device_there(self) -> "TrainerConfig":
        if self.accelerator == "gpu" and not (torch.cuda.is_available() or torch.backends.mps.is_available()):
            raise ValueError("accelerator=gpu: torch finds no GPU here; use accelerator=cpu or accelerator=auto")
        return self

    @model_validator(mode="after")
    def _several_by_ddp(self) -> "TrainerConfig":
        if self.several and not self.strategy.startswith("ddp"):
            raise ValueError(
                f"strategy={self.strategy}: {self.devices} device(s) on {self.num_nodes} node(s) train by DDP; use "
                "trainer=ddp"
            )
        return self

    @property
    def count(self) -> int:
        """Devices on all nodes."""
        return self.devices * self.num_nodes

    @property
    def several(self) -> bool:
        return self.count > 1

    def arithmetic(self, device: torch.device) -> str:
        """What the numbers of a training on `device` were computed in: "fp32", "fp32 (TF32)" or "bf16-mixed"."""
        if self.precision == "bf16-mixed":
            return self.precision
        return "fp32 (TF32)" if self.tf32 and device.type == "cuda" else "fp32"

    def epochs(self, wanted: int) -> int:
        return wanted if self.max_epochs is None else min(wanted, self.max_epochs)

    def build(
        self, what: str, epochs: int, folder: Path, callbacks: list[lightning.Callback], validate: bool
    ) -> lightning.Trainer:
        """A Trainer that writes checkpoints and event files into `folder` and shows its progress as `what`."""
        several: list[lightning.Callback] = [OnSeveral()] if self.several else []
        progress: list[lightning.Callback] = [StageProgress(what)] if self.progress and ranks.rank() == 0 else []
        capture: list[lightning.Callback] = [CaptureSteps(self.capture is True)] if self.capture else []
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = self.tf32
        return lightning.Trainer(
            accelerator=self.accelerator,
            devices=self.devices,
            num_nodes=self.num_nodes,
            strategy=self.strategy,
            precision=self.precision,
            max_epochs=self.epochs(epochs),
            limit_train_batches=self.limit_batches,
            limit_val_batches=self.limit_batches if validate else 0,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the data module shares batches out; each rank validates on all images
            sync_batchnorm=self.several and torch.cuda.is_available() and self.accelerator != "cpu",
            callbacks=[*several, *capture, *callbacks, *progress],
            logger=EventLogger(folder, name="", version="", default_hp_metric=False),
            plugins=[WholeCheckpoints()],
            default_root_dir=folder,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=0,  # the modules gather and write
        )


class EventLogger(TensorBoardLogger):
    def save(self) -> None:
        self.experiment.flush()  # Lightning's also writes hparams.yaml, but all is in config.yaml


class WholeCheckpoints(TorchCheckpointIO):
    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any = None) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        save_whole(checkpoint, Path(path))


def save_whole(content: dict[str, Any], path: Path) -> None:
    """torch.save, whole or not at all."""
    buffer = io.BytesIO()  # torch's own writer says nothing of a full disk
    torch.save(content, buffer)
    with whole(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


class StageProgress(lightning.Callback):
    """Batches done, with the epoch's last logged loss or score beside them."""

    def __init__(self, what: str) -> None:
        self.what = what
        self._stage: Any = None
        self._shown = 0.0
        self._advance: Advance | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert trainer.max_epochs is not None
        self._stage = stage(self.what, trainer.max_epochs * int(trainer.num_training_batches))
        self._advance = self._stage.__enter__()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert self._advance is not None
        if batch_idx + 1 < trainer.num_training_batches and time.monotonic() - self._shown < SECONDS_BETWEEN_UPDATES:
            return
        self._shown = time.monotonic()
        done = trainer.current_epoch * int(trainer.num_training_batches) + batch_idx + 1
        metrics = trainer.callback_metrics
        shown = ", ".join(
            f"{name} {float(metrics[name]):.3f}" for name in ("train/loss", "valid/loss") if name in metrics
        )
        self._advance(done, f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs} {shown}")

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._close(None)

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self._close(exception)

    def _close(self, exception: BaseException | None) -> None:
        if self._stage is not None:
            open_stage, self._stage = self._stage, None
            open_stage.__exit__(None, None, None)
