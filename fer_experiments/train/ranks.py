"""One job on several devices or nodes: every process (rank) runs the whole job, and trains on its share of each batch.

What is written, and what one device does alone, is for the first rank: functions under `on_first`. All others hold the
same weights, random draws of their own, and the same results.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import lightning
import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.fabric.strategies import DDPStrategy
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, distributed

from fer_experiments.errors import ConfigError
from fer_experiments.spec import build

if TYPE_CHECKING:
    from fer_experiments.train.config import Config
    from fer_experiments.train.trainer import TrainerConfig

P = ParamSpec("P")
T = TypeVar("T")
PATIENCE = timedelta(days=7)  # while the first rank trains a judge or audits alone; torch's own would be 30 minutes
OWN_DRAWS = 9  # a stream of random numbers
_alone = False  # while the first rank does what is its alone


def count() -> int:
    """How many take part in what is done now."""
    return 1 if _alone or not distributed.is_initialized() else distributed.get_world_size()


def rank() -> int:
    return distributed.get_rank() if distributed.is_initialized() else 0


def on_first(function: Callable[P, T]) -> Callable[P, T]:
    """The function on the first rank alone; all others wait for what it returns or raises, and do that, too."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> T:
        global _alone
        if count() == 1:
            return function(*args, **kwargs)
        said: list[Any] = [None, None]
        if rank() == 0:
            _alone = True
            try:
                said[0] = function(*args, **kwargs)
            except Exception as error:
                said[1] = error
            finally:
                _alone = False
        distributed.broadcast_object_list(said)
        if said[1] is not None:
            raise said[1]
        return said[0]

    return called


def gather(value: Any) -> list[Any]:
    """The value of every rank, in each."""
    found = [value] * count()
    if count() > 1:
        distributed.all_gather_object(found, value)
    return found


@contextmanager
def started(composed: DictConfig) -> Iterator[None]:
    """The processes that conf/trainer asks for, all of which do what is done within; started here or by Slurm."""
    asked = [OmegaConf.select(composed, f"trainer.{key}") for key in ("devices", "num_nodes")]
    if not any(isinstance(number, int) and number > 1 for number in asked):
        yield
        return
    settings: TrainerConfig = build("trainer", OmegaConf.to_container(composed.trainer, resolve=True))
    _check_devices(settings)
    _check_launcher(settings)
    strategy = DDPStrategy(timeout=PATIENCE)
    fabric = lightning.Fabric(
        accelerator=settings.accelerator, devices=settings.devices, num_nodes=settings.num_nodes, strategy=strategy
    )
    fabric.launch()
    if rank():
        logging.root.setLevel(logging.ERROR)  # the first says all
    try:
        yield
        distributed.barrier()
    except BaseException:
        for process in getattr(fabric.strategy.launcher, "procs", []):
            process.kill()  # it would wait for this one
        raise
    distributed.destroy_process_group()


def _check_devices(trainer: TrainerConfig) -> None:
    there = torch.cuda.device_count()
    if trainer.devices > there and (trainer.accelerator == "gpu" or (trainer.accelerator == "auto" and there)):
        raise ConfigError(
            f"trainer.devices={trainer.devices}: torch finds {there} GPU(s) here; use as many, or accelerator=cpu"
        )


def _check_launcher(trainer: TrainerConfig) -> None:
    """Raises ConfigError in a multirun whose launcher doesn't start as many processes for each job."""
    hydra = HydraConfig.get()
    if hydra.mode != RunMode.MULTIRUN:
        return
    launcher = hydra.launcher
    if launcher._target_.endswith(".SlurmLauncher"):
        if (launcher.tasks_per_node, launcher.nodes) != (trainer.devices, trainer.num_nodes):
            raise ConfigError(
                f"hydra.launcher.tasks_per_node={launcher.tasks_per_node}, hydra.launcher.nodes={launcher.nodes}: are "
                f"to equal trainer.devices={trainer.devices} and trainer.num_nodes={trainer.num_nodes}, as Slurm "
                "starts a task for each device"
            )
        return
    raise ConfigError(
        f"trainer.devices={trainer.devices}: in a multirun each process of DDP would run the whole sweep; use "
        "trainer.devices=1, one run a command, or hydra/launcher=slurm"
    )


def check_shares(config: Config) -> None:
    """Raises ConfigError where a batch can't be shared out evenly, or seeds are to run side by side as well."""
    for key, size in (("gan", config.gan.batch_size), ("classifier", config.classifier.batch_size)):
        if size % config.trainer.count:
            raise ConfigError(
                f"{key}.batch_size={size}: is to be a multiple of the number of devices, {config.trainer.count}"
            )
    workers = getattr(config.train, "workers", 1)
    if config.trainer.several and workers > 1:
        raise ConfigError(f"train.workers={workers}: seeds run side by side on one device each; use train.workers=1")


class OnSeveral(lightning.Callback):
    """What a training on several ranks needs beside DDP: draws of each rank's own, and BatchNorm's statistics shared.

    On GPUs BatchNorm normalises by the whole batch (SyncBatchNorm); on CPUs, which have no such thing, by a rank's
    share of it, and after each step its running statistics become the mean over ranks. First among callbacks.
    """

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        data: Any = getattr(trainer, "datamodule", None)
        seed = np.random.SeedSequence([data.seed, OWN_DRAWS, trainer.global_rank])
        torch.manual_seed(int(seed.generate_state(1)[0]))

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        statistics = [buffer for buffer in pl_module.buffers() if buffer.is_floating_point()]
        if statistics and trainer.strategy.root_device.type == "cpu":
            share_statistics(statistics)


@torch.no_grad()
def share_statistics(buffers: list[Tensor]) -> None:
    """Make each the mean over ranks, in place."""
    flat = torch.cat([buffer.reshape(-1) for buffer in buffers])
    distributed.all_reduce(flat)
    means = (flat / count()).split([buffer.numel() for buffer in buffers])
    for buffer, mean in zip(buffers, means, strict=True):
        buffer.copy_(mean.view_as(buffer))
