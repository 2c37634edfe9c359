"""Start the processes of a job that runs on several devices or nodes."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.types import RunMode
from omegaconf import DictConfig

from fer_experiments.distributed import TIMEOUT, global_rank
from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import build_config
from fer_experiments.train.settings import Settings, to_container
from fer_experiments.trainer import TrainerConfig
from fer_experiments.trainer.expected_warnings import ignore_expected_warnings


@contextmanager
def launch_ranks(composed: DictConfig, hydra: DictConfig) -> Iterator[None]:
    """Start the processes that conf/trainer asks for, unless Slurm has; all of them run the block.

    composed: the job's configuration; hydra: Hydra's own node. Raises ConfigError if the devices do not exist, or if
    the processes can't be started in this sweep.
    """
    trainer: TrainerConfig = build_config("trainer", to_container(composed)["trainer"])
    if not trainer.is_distributed:
        yield
        return
    import lightning
    from lightning.fabric.strategies import DDPStrategy
    from torch import distributed

    ignore_expected_warnings()
    trainer.check_devices()
    if hydra.mode == RunMode.MULTIRUN:
        _check_launcher(trainer, hydra.launcher)
    fabric = lightning.Fabric(
        accelerator=trainer.accelerator,
        devices=trainer.devices,
        num_nodes=trainer.num_nodes,
        strategy=DDPStrategy(timeout=TIMEOUT),
    )
    fabric.launch()
    if global_rank():
        logging.root.setLevel(logging.ERROR)  # rank zero logs everything
    try:
        yield
        distributed.barrier()
    except BaseException:
        for process in getattr(fabric.strategy.launcher, "procs", []):
            process.kill()  # it would wait for this one
        raise
    distributed.destroy_process_group()


def _check_launcher(trainer: TrainerConfig, launcher: DictConfig) -> None:
    """Raise ConfigError unless the launcher of a sweep starts as many processes for each job as there are devices."""
    if not launcher._target_.endswith(".SlurmLauncher"):
        raise ConfigError(
            f"trainer.devices={trainer.devices}: in a multirun each process of DDP would run the whole sweep; use "
            "trainer.devices=1, one run a command, or hydra/launcher=slurm"
        )
    if (launcher.tasks_per_node, launcher.nodes) != (trainer.device_count, trainer.num_nodes):
        raise ConfigError(
            f"hydra.launcher.tasks_per_node={launcher.tasks_per_node}, hydra.launcher.nodes={launcher.nodes}: must "
            f"equal trainer.devices={trainer.devices} and trainer.num_nodes={trainer.num_nodes}, because Slurm starts "
            "a task for each device"
        )


def check_batch_sizes(settings: Settings) -> None:
    """Raise ConfigError if a batch can't be divided evenly among the devices."""
    devices = settings.trainer.world_size
    for group, size in (("gan", settings.gan.batch_size), ("classifier", settings.classifier.batch_size)):
        if size % devices:
            raise ConfigError(f"{group}.batch_size={size}: must be a multiple of the number of devices, {devices}")
