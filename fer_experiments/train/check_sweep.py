"""What is checked before the first job of a command, and before it has a folder: a sweep may train for hours before a
later job is refused.
"""

from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

import fer_experiments.run_naming  # noqa: F401 - launchers pickle this callback, and its processes need the resolvers
from fer_experiments.errors import ConfigError
from fer_experiments.exit_status import refuse
from fer_experiments.hydra_errors import describe_hydra_error
from fer_experiments.run_naming import list_overrides, sweep_name
from fer_experiments.runs.sweep_progress import BASIC_SWEEPER, list_sweep_jobs
from fer_experiments.strict_config import build_config
from fer_experiments.train.run import check_folder, check_without_torch

MAX_SHOWN = 5  # messages


class CheckSweep(Callback):
    """End the command with status 2 if its folder lies in its data, or a job of the sweep has a wrong value.

    conf/config.yaml names this callback.

    Other sweepers than Hydra's own choose values as they go, and theirs are checked by each job; here it is checked
    that there is something to choose.
    """

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        _refuse_folder_in_data(config, "run.dir")

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        sweep_name(config)  # by which its jobs know what to leave out of their names, also if hydra.sweep.dir is given
        _refuse_folder_in_data(config, "sweep.dir")
        if config.hydra.sweeper._target_ != BASIC_SWEEPER:
            _check_search(config)
            return
        try:
            jobs = list_sweep_jobs(config)
        except HydraException as error:  # such as interval(1,3), which is for other sweepers; a callback may not raise
            refuse(describe_hydra_error(error))
        messages = list(dict.fromkeys(filter(None, (_explain(config, job) for job in jobs))))
        if messages:
            more = [f"and {len(messages) - MAX_SHOWN} more"] if len(messages) > MAX_SHOWN else []
            refuse(*messages[:MAX_SHOWN], *more)


def _refuse_folder_in_data(config: DictConfig, key: str) -> None:
    """Refuse a command whose folder, hydra.KEY, would become a class of its own data, before anything is written there.

    What is wrong with the data or the folder is left to the job, which reports it.
    """
    try:
        data = build_config("data", OmegaConf.to_container(config.data, resolve=True))
        folder = OmegaConf.select(config.hydra, key)
    except (ConfigError, OmegaConfBaseException):
        return
    try:
        check_folder(Path(folder), data)
    except ConfigError as error:
        refuse(str(error))


def _check_search(config: DictConfig) -> None:
    """Refuse a search whose plan is wanted, and one that has a single value for each key of hydra.sweeper.params."""
    sweeper = f"hydra/sweeper={config.hydra.runtime.choices['hydra/sweeper']}"
    if config.plan_only:
        refuse(
            f"plan_only=true: {sweeper} chooses the values of each job as it goes; with hydra.mode=RUN as well it "
            "plans a job with the values that the command gives"
        )
    params = config.hydra.sweeper.get("params") or {}
    parsed = OverridesParser.create().parse_overrides(list_overrides(config))
    values = dict.fromkeys(params, True) | {each.key_or_group: each.is_sweep_override() for each in parsed}
    if params and not any(values.values()):
        refuse(
            f"{sweeper}: has nothing to search, because {', '.join(params)} have one value each; leave one of them "
            "out, or run a single job with hydra.mode=RUN"
        )


def _explain(sweep: DictConfig, overrides: list[str]) -> str | None:
    """Return what is wrong with the job of these overrides."""
    try:
        composed = GlobalHydra.instance().config_loader().load_sweep_config(sweep, overrides)
    except HydraException as error:
        return f"{' '.join(overrides)}: {describe_hydra_error(error)}"
    task = composed.copy()
    with open_dict(task):
        del task["hydra"]
    try:
        check_without_torch(task, composed.hydra)
    except ConfigError as error:
        return str(error)
    return None
