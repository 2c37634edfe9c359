"""The check of a sweep before its first job, which may train for hours before a later one is refused."""

from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict

import fer_experiments.run_naming  # noqa: F401 - launchers pickle this callback, and its processes need the resolvers
from fer_experiments.errors import ConfigError
from fer_experiments.exit_status import refuse
from fer_experiments.hydra_errors import describe_hydra_error
from fer_experiments.runs.sweep_progress import BASIC_SWEEPER, list_sweep_jobs
from fer_experiments.train.run import check_without_torch

MAX_SHOWN = 5  # messages


class CheckSweep(Callback):
    """End the command with status 2 if a job of the sweep has a wrong value. conf/config.yaml names this callback.

    Other sweepers than Hydra's own choose values as they go, and theirs are checked by each job.
    """

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        if config.hydra.sweeper._target_ != BASIC_SWEEPER:
            return
        try:
            jobs = list_sweep_jobs(config)
        except HydraException as error:  # such as interval(1,3), which is for other sweepers; a callback may not raise
            refuse(describe_hydra_error(error))
        messages = list(dict.fromkeys(filter(None, (_explain(config, job) for job in jobs))))
        if messages:
            more = [f"and {len(messages) - MAX_SHOWN} more"] if len(messages) > MAX_SHOWN else []
            refuse(*messages[:MAX_SHOWN], *more)


def _explain(sweep: DictConfig, overrides: list[str]) -> str | None:
    """Return what is wrong with the job of these overrides."""
    composed = GlobalHydra.instance().config_loader().load_sweep_config(sweep, overrides)
    task = composed.copy()
    with open_dict(task):
        del task["hydra"]
    try:
        check_without_torch(task, composed.hydra)
    except ConfigError as error:
        return str(error)
    return None
