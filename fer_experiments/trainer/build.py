"""Lightning's Trainer, built from conf/trainer."""

from collections.abc import Sequence
from pathlib import Path

import lightning
from lightning.pytorch.callbacks import ModelSummary, ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import AdvancedProfiler, PyTorchProfiler, SimpleProfiler

from fer_experiments.distributed import global_rank
from fer_experiments.trainer.callbacks.gradient_clipping import GradientClipping
from fer_experiments.trainer.callbacks.progress import StageProgress
from fer_experiments.trainer.callbacks.sync_statistics import SyncBatchNormStatistics
from fer_experiments.trainer.callbacks.tf32 import AllowTF32
from fer_experiments.trainer.checkpoint_io import AtomicCheckpointIO
from fer_experiments.trainer.config import TrainerConfig

PROFILERS = {"simple": SimpleProfiler, "advanced": AdvancedProfiler, "pytorch": PyTorchProfiler}


def build_trainer(
    config: TrainerConfig,
    name: str,
    epochs: int,
    folder: Path,
    callbacks: Sequence[lightning.Callback] = (),
    loggers: Sequence[Logger] = (),
    validate: bool = True,
) -> lightning.Trainer:
    """Build a Trainer.

    Args:
        config: conf/trainer.
        name: what its progress is shown as.
        epochs: the length of the training, which max_epochs may shorten.
        folder: where checkpoints are written.
        callbacks: the callbacks of this training, which run after the Trainer's own.
        loggers: where its metrics are written.
        validate: whether the module has a validation step.
    """
    first: list[lightning.Callback] = [AllowTF32(config.tf32)]
    if config.is_distributed:
        first.append(SyncBatchNormStatistics())
    if config.gradient_clip_val is not None:
        first.append(GradientClipping(config.gradient_clip_val, config.gradient_clip_algorithm or "norm"))
    shows_progress = config.progress and global_rank() == 0
    if not shows_progress:
        callbacks = [each for each in callbacks if not isinstance(each, ProgressBar)]
    last: list[lightning.Callback] = []
    if shows_progress and not any(isinstance(each, ProgressBar) for each in callbacks):
        last.append(StageProgress(name))
    return lightning.Trainer(
        accelerator=config.accelerator,
        devices=config.devices,
        num_nodes=config.num_nodes,
        strategy=config.strategy,
        precision=config.chosen_precision,
        max_epochs=config.limit_epochs(epochs),
        accumulate_grad_batches=config.accumulate_grad_batches or 1,
        limit_train_batches=config.limit_batches,
        limit_val_batches=config.limit_batches if validate else 0,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # the data module gives each rank its share; all validate on all images
        sync_batchnorm=config.synchronises_batch_norm,
        callbacks=[*first, *callbacks, *last],
        logger=list(loggers),
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
        enable_progress_bar=shows_progress,
        log_every_n_steps=config.log_every_n_steps,
        benchmark=config.benchmark,
        detect_anomaly=bool(config.detect_anomaly),
        deterministic=config.deterministic,
        enable_model_summary=bool(config.enable_model_summary)
        or any(isinstance(each, ModelSummary) for each in callbacks),
        inference_mode=config.inference_mode is not False,
        profiler=None if config.profiler is None else PROFILERS[config.profiler](folder, "profile"),
    )
