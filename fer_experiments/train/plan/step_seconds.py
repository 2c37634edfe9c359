"""How long a step of a training takes on this machine: a few are timed, and the result is kept for the next plan."""

import hashlib
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.seed import isolate_rng

from fer_experiments.atomic_write import atomic_write
from fer_experiments.data.datamodule import ImageDataModule
from fer_experiments.trainer.build import build_trainer
from fer_experiments.trainer.config import TrainerConfig

Build = Callable[[], tuple[lightning.LightningModule, ImageDataModule]]
MAX_STEPS, MAX_SECONDS = 20, 3.0  # that are timed, after the first step, which is left out
FILE = "step_seconds.json"  # in data.cache_dir: {key: seconds}


class StepTimer(lightning.Callback):
    """Note when each step has ended, and end the training after MAX_STEPS or MAX_SECONDS."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: Any, **kwargs: Any) -> None:
        if trainer.strategy.root_device.type == "cuda":
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())
        is_long = self.times[-1] - self.times[0] >= MAX_SECONDS
        trainer.should_stop = len(self.times) > MAX_STEPS or (is_long and len(self.times) > 2)

    @property
    def seconds(self) -> float:
        """The median of the steps after the first."""
        return statistics.median(b - a for a, b in zip(self.times, self.times[1:], strict=False))


def get_or_measure_step_seconds(
    config: TrainerConfig,
    described: Any,
    build: Build,
    cache: Path,
) -> float:
    """Return the seconds of a step, as it was measured on this machine before, else as a few steps take now.

    Random states are left as they were.

    Args:
        config: conf/trainer.
        described: whatever a step's duration depends on, beside the machine and the trainer's arithmetic.
        build: gives the untrained module and its data; it is called only if nothing was measured before.
        cache: the folder in which measurements are kept.
    """
    key = hashlib.sha256(repr((_describe_machine(config), described)).encode()).hexdigest()[:16]
    kept = _load(cache)
    if key not in kept:
        with isolate_rng():
            kept[key] = measure_step_seconds(config, *build())
        with atomic_write(cache / FILE) as temporary:
            temporary.write_text(json.dumps(kept, indent=1))
    return kept[key]


def measure_step_seconds(config: TrainerConfig, module: lightning.LightningModule, images: ImageDataModule) -> float:
    """Return the median duration of a few training steps in seconds."""
    brief = config.model_copy(update={"limit_batches": None, "max_epochs": None, "progress": False, "profiler": None})
    timer = StepTimer()
    with tempfile.TemporaryDirectory() as folder:
        callbacks = [timer, ModelCheckpoint(save_top_k=0)]  # without the latter Lightning would write checkpoints
        trainer = build_trainer(brief, "timed steps", MAX_STEPS + 1, Path(folder), callbacks, validate=False)
        trainer.fit(module, datamodule=images)
    return timer.seconds


def _load(cache: Path) -> dict[str, float]:
    """Return {key: seconds}; nothing if the file does not exist or was written by something else."""
    try:
        kept = json.loads((cache / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _describe_machine(config: TrainerConfig) -> tuple[Any, ...]:
    """Return what sets this machine apart from others."""
    is_gpu = config.device_type == "cuda"
    name = torch.cuda.get_device_name() if is_gpu else platform.processor() or platform.machine()
    return (name, platform.node(), torch.get_num_threads(), torch.__version__, config.chosen_precision, config.tf32)
