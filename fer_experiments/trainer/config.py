"""What conf/trainer/ configures, and Lightning's Trainer built from it."""

from pathlib import Path
from typing import Annotated, Any, Literal

import lightning
import torch
from lightning.pytorch.profilers import AdvancedProfiler, PyTorchProfiler, SimpleProfiler
from pydantic import Field, model_validator

from fer_experiments.distributed import global_rank
from fer_experiments.strict_config import StrictConfig
from fer_experiments.trainer.callbacks.cuda_graphs import CUDAGraphs
from fer_experiments.trainer.callbacks.gradient_clipping import GradientClipping
from fer_experiments.trainer.callbacks.progress import StageProgress
from fer_experiments.trainer.callbacks.sync_statistics import SyncBatchNormStatistics
from fer_experiments.trainer.callbacks.tf32 import AllowTF32
from fer_experiments.trainer.checkpoint_io import AtomicCheckpointIO
from fer_experiments.trainer.loggers.event_logger import EventLogger
from fer_experiments.trainer_arguments import ADDABLE

Positive = Annotated[int, Field(ge=1)]
PROFILERS = {"simple": SimpleProfiler, "advanced": AdvancedProfiler, "pytorch": PyTorchProfiler}
# These don't change what a training computes, and so have no part in its fingerprint.
WITHOUT_EFFECT = {"detect_anomaly", "enable_model_summary", "inference_mode", "profiler"}


class TrainerConfig(StrictConfig):
    """The keys of conf/trainer/auto.yaml, which explains them, and arguments of lightning.Trainer that may be added."""

    accelerator: Literal["auto", "cpu", "gpu"]
    devices: Positive
    num_nodes: Positive
    strategy: str
    precision: Literal["32-true", "bf16-mixed"]
    tf32: bool
    cuda_graphs: Literal["auto"] | bool
    max_epochs: Positive | None
    limit_batches: Positive | None
    progress: bool

    benchmark: bool | None = None
    detect_anomaly: bool | None = None
    deterministic: Literal["warn"] | bool | None = None
    enable_model_summary: bool | None = None
    gradient_clip_algorithm: Literal["norm", "value"] | None = None
    gradient_clip_val: Annotated[float, Field(gt=0)] | None = None
    inference_mode: bool | None = None
    profiler: Literal["simple", "advanced", "pytorch"] | None = None

    @model_validator(mode="after")
    def _check_gpu_exists(self) -> "TrainerConfig":
        if self.accelerator == "gpu" and not (torch.cuda.is_available() or torch.backends.mps.is_available()):
            raise ValueError("accelerator=gpu: torch finds no GPU here; use accelerator=cpu or accelerator=auto")
        return self

    @model_validator(mode="after")
    def _check_strategy(self) -> "TrainerConfig":
        if self.strategy != "auto" and not self.strategy.startswith("ddp"):
            raise ValueError(
                f"strategy={self.strategy}: models are trained on one device (auto) or by DDP (ddp...), since every "
                "checkpoint holds the whole model; use strategy=auto or trainer=ddp"
            )
        if self.is_distributed and self.strategy == "auto":
            raise ValueError(
                f"strategy={self.strategy}: {self.devices} device(s) on {self.num_nodes} node(s) train by DDP; use "
                "trainer=ddp"
            )
        return self

    @property
    def arguments_with_effect(self) -> dict[str, Any]:
        """The added arguments of lightning.Trainer that can change the result of a training."""
        values = {name: getattr(self, name) for name in sorted(ADDABLE - WITHOUT_EFFECT)}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def uses_cuda(self) -> bool:
        """Whether trainings run on CUDA devices of this machine."""
        return self.accelerator != "cpu" and torch.cuda.is_available()

    @property
    def world_size(self) -> int:
        """How many devices there are on all nodes together."""
        return self.devices * self.num_nodes

    @property
    def is_distributed(self) -> bool:
        """Whether a training runs on more than one device."""
        return self.world_size > 1

    def arithmetic(self, device: torch.device) -> str:
        """Return what a training on `device` computes in: "fp32", "fp32 (TF32)" or "bf16-mixed"."""
        if self.precision == "bf16-mixed":
            return self.precision
        return "fp32 (TF32)" if self.tf32 and device.type == "cuda" else "fp32"

    def limit_epochs(self, epochs: int) -> int:
        """Return `epochs`, or max_epochs if that is less."""
        return epochs if self.max_epochs is None else min(epochs, self.max_epochs)

    def build_trainer(
        self, name: str, epochs: int, folder: Path, callbacks: list[lightning.Callback], validate: bool
    ) -> lightning.Trainer:
        """Build a Trainer.

        Args:
            name: what its progress is shown as.
            epochs: the length of the training, which max_epochs may shorten.
            folder: where checkpoints and TensorBoard's files are written.
            callbacks: the callbacks of this training, which run after the Trainer's own.
            validate: whether the module has a validation step.
        """
        first: list[lightning.Callback] = [AllowTF32(self.tf32)]
        if self.is_distributed:
            first.append(SyncBatchNormStatistics())
        if self.cuda_graphs:
            first.append(CUDAGraphs(required=self.cuda_graphs is True))
        if self.gradient_clip_val is not None:
            first.append(GradientClipping(self.gradient_clip_val, self.gradient_clip_algorithm or "norm"))
        last: list[lightning.Callback] = [StageProgress(name)] if self.progress and global_rank() == 0 else []
        return lightning.Trainer(
            accelerator=self.accelerator,
            devices=self.devices,
            num_nodes=self.num_nodes,
            strategy=self.strategy,
            precision=self.precision,
            max_epochs=self.limit_epochs(epochs),
            limit_train_batches=self.limit_batches,
            limit_val_batches=self.limit_batches if validate else 0,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # the data module gives each rank its share; all validate on all images
            sync_batchnorm=self.is_distributed and self.uses_cuda,
            callbacks=[*first, *callbacks, *last],
            logger=EventLogger(folder, name="", version="", default_hp_metric=False),
            plugins=[AtomicCheckpointIO()],
            default_root_dir=folder,
            enable_progress_bar=False,
            log_every_n_steps=0,  # the modules gather their metrics and log means
            benchmark=self.benchmark,
            detect_anomaly=bool(self.detect_anomaly),
            deterministic=self.deterministic,
            enable_model_summary=bool(self.enable_model_summary),
            inference_mode=self.inference_mode is not False,
            profiler=None if self.profiler is None else PROFILERS[self.profiler](folder, "profile"),
        )
