"""How long a step of a training takes on this machine: a few are timed, and the result is kept for the next plan."""

import hashlib
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from fer_experiments.atomic_write import atomic_write
from fer_experiments.train.plan.plan import NotTimed
from fer_experiments.trainer.config import TrainerConfig

if TYPE_CHECKING:
    from lightning import LightningModule

    from fer_experiments.data.datamodule import ImageDataModule

Built: TypeAlias = "tuple[LightningModule, ImageDataModule]"
Build = Callable[[], Built]
FILE = "step_seconds.json"  # in data.cache_dir: {key: seconds}


def get_or_measure_step_seconds(
    config: TrainerConfig,
    described: Any,
    build: Build,
    cache: Path,
    can_measure: bool = True,
) -> float:
    """Return the seconds of a step, as it was measured on this machine before, else as a few steps take now.

    Random states are left as they were.

    Args:
        config: conf/trainer.
        described: whatever a step's duration depends on, beside the machine and the trainer's arithmetic.
        build: gives the untrained module and its data; it is called only if nothing was measured before.
        cache: the folder in which measurements are kept.
        can_measure: whether steps may be timed now; else raise NotTimed if none were before.
    """
    key = hashlib.sha256(repr((_describe_machine(config), described)).encode()).hexdigest()[:16]
    kept = _load(cache)
    if key not in kept:
        if not can_measure:
            raise NotTimed
        from lightning.pytorch.utilities.seed import isolate_rng

        with isolate_rng():
            kept[key] = measure_step_seconds(config, *build())
        with atomic_write(cache / FILE) as temporary:
            temporary.write_text(json.dumps(kept, indent=1))
    return kept[key]


def measure_step_seconds(config: TrainerConfig, module: "LightningModule", images: "ImageDataModule") -> float:
    """Return the median duration of a few training steps in seconds."""
    from fer_experiments.train.plan.step_timer import time_steps

    return time_steps(config, module, images)


def _load(cache: Path) -> dict[str, float]:
    """Return {key: seconds}; nothing if the file does not exist or was written by something else."""
    try:
        kept = json.loads((cache / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _describe_machine(config: TrainerConfig) -> tuple[Any, ...]:
    """Return what sets this machine apart from others."""
    import torch

    is_gpu = config.device_type == "cuda"
    name = torch.cuda.get_device_name(config.first_device) if is_gpu else platform.processor() or platform.machine()
    return (name, platform.node(), torch.get_num_threads(), torch.__version__, config.chosen_precision, config.tf32)
