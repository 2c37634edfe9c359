"""How the command line runs a job: once in its folder, under a lock, with a status."""

import logging
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from fer_experiments.atomic_write import remove_partial
from fer_experiments.data.sources import DataSource, Folder
from fer_experiments.distributed import global_rank, on_rank_zero
from fer_experiments.errors import ConfigError
from fer_experiments.progress import show_activity
from fer_experiments.run_naming import list_overrides
from fer_experiments.runs.start import list_job_files, log_waiting, start_job, write_hydra_folder
from fer_experiments.runs.status import LOCK_FILE, Status, hold_lock
from fer_experiments.runs.sweep_progress import SweepPlan
from fer_experiments.train.config import Config, save_config
from fer_experiments.train.experiment_keys import check_experiment_keys
from fer_experiments.train.launch import check_batch_sizes, launch_ranks
from fer_experiments.train.plan.plan import NotTimed, Plan
from fer_experiments.train.settings import RunContext
from fer_experiments.train.sweep_objective import check_direction
from fer_experiments.trainer.expected_warnings import ignore_expected_warnings
from fer_experiments.trainer.memory import keep_freed_memory

log = logging.getLogger(__name__)


def run_job(composed: DictConfig) -> float | None:
    """Run the job of the composed configuration in Hydra's output directory, unless it has finished there before.

    Returns the job's objective if a sweeper searches for the best one. This is where Hydra's own configuration is read;
    everything below gets what it needs as arguments.
    """
    hydra: Any = HydraConfig.instance().cfg
    node = hydra.hydra
    folder, choices = Path(node.runtime.output_dir), dict(node.runtime.choices)
    is_search = choices["hydra/sweeper"] != "basic"
    config = _read_config(composed, node)  # a wrong configuration leaves no files
    check_folder(folder, config.data)
    if is_search:
        check_direction(node.sweeper)
        config.train.check_objective(config)
    if composed.plan_only:
        _leave_no_files(folder)
        config = check_without_torch(composed, node)
        plan = plan_job(config, folder)
        _check_with_torch(config)
        time_plan(plan)
        return None
    with launch_ranks(composed, node):
        _run_once(composed, hydra, folder)
    return config.train.objective(folder) if is_search else None


def _leave_no_files(folder: Path) -> None:
    """Let a plan be printed only; remove the job's folder and those above it that Hydra has made, if they are empty."""
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, logging.FileHandler)]:
        root.removeHandler(handler)
        handler.close()
    folder, working_folder = folder.resolve(), Path.cwd()
    for place in (folder, *(parent for parent in folder.parents if working_folder in parent.parents)):
        if not place.is_dir() or any(place.iterdir()):
            break
        place.rmdir()


def check_folder(folder: Path, data: DataSource) -> None:
    """Raise ConfigError if the folder of a run or sweep would become a class of its own data."""
    root = data.root if isinstance(data, Folder) else None
    if root is not None and folder.resolve().is_relative_to(root.resolve()):
        raise ConfigError(
            f"data.root={root}: the run's folder {folder} lies in it, and would be read as a part of the data; start "
            "the command elsewhere, or give another hydra.run.dir"
        )


def _run_once(composed: DictConfig, hydra: DictConfig, folder: Path) -> None:
    """Run the job in one process at a time: another process that wants the same job waits, and finds it done."""
    is_first = global_rank() == 0
    with hold_lock(folder / LOCK_FILE, lambda: log_waiting(folder)) if is_first else nullcontext():
        status = _start(composed, hydra, folder)
        if status is None:
            return
        try:
            _run(composed, hydra, folder, status)
        except Exception as error:
            _save_on_rank_zero(status.ended(error), folder)
            raise
        _save_on_rank_zero(status.ended(), folder)


@on_rank_zero
def _start(composed: DictConfig, hydra: DictConfig, folder: Path) -> Status | None:
    remove_partial(folder)

    def can_continue() -> bool:
        return _read_config(composed, hydra.hydra).train.can_continue(folder)

    status = start_job(composed, list_overrides(hydra), folder, can_continue)
    if status is not None:
        status.save(folder)
        write_hydra_folder(composed, hydra, folder)
    return status


def _save_on_rank_zero(status: Status, folder: Path) -> None:
    """Save the status at the end of a job without waiting for other ranks, which may have been killed."""
    if global_rank() == 0:
        files = sorted({Status.file_name, *(path.name for path in list_job_files(folder))})
        status.model_copy(update={"files": files}).save(folder)


def _run(composed: DictConfig, hydra: DictConfig, folder: Path, status: Status) -> None:
    """Check the configuration, import torch, and run the job."""
    node = hydra.hydra
    retrain_gans_before = _start_of_command(node, status) if composed.rerun else 0.0
    config = check_without_torch(composed, node, retrain_gans_before)
    plan = plan_job(config, folder)
    _check_with_torch(config)
    keep_freed_memory()
    plan = time_plan(plan)
    on_rank_zero(save_config)(composed, folder)
    started = time.monotonic()
    log.info("%s, writing to %s", node.job.name, folder)
    choices = node.runtime.choices
    if plan is not None and choices.get("experiment") == "quick" and choices["data"] != "faces":
        log.warning("experiment=quick: trainings as short as for the drawn faces; leave it out to train longer")
    config.train.run(config, folder, plan)
    log.info("done in %.0f s: %s", time.monotonic() - started, folder)
    if choices.get("experiment") == "quick" and choices["data"] == "faces":
        log.info("next, your own images: python -m fer_experiments data=folder data.root=PATH")


def _check_with_torch(config: Config) -> None:
    """Import torch; raise ConfigError for whatever else can be known to be wrong before any work."""
    logging.getLogger("matplotlib").setLevel(logging.WARNING)  # lightning imports it, which tells of its cache of fonts
    with show_activity("starting"):
        ignore_expected_warnings()  # it imports lightning, which with torch takes seconds
        from fer_experiments.train.torch_checks import check_with_torch
        from fer_experiments.trainer.loggers.services import check_services
    check_with_torch(config)
    config.train.check_with_torch(config)
    check_services(config.logger)


@on_rank_zero
def plan_job(config: Config, folder: Path) -> Plan | None:
    """Log what the job will train in the folder; return its plan, or None for a job that trains nothing.

    How long it takes is logged as well, if that is known from an earlier plan.
    """
    plan = config.train.plan(config, folder)
    if plan is None:
        return None
    for caution in plan.warnings():
        log.warning("%s", caution)
    for line in plan.outline():
        log.info("%s", line)
    try:
        return _log_times(plan.timed(can_measure=False))
    except NotTimed:
        return plan


@on_rank_zero
def time_plan(plan: Plan | None) -> Plan | None:
    """Log how long the planned job takes, if that is not done yet; return the plan with its times."""
    if plan is None or plan.is_timed:
        return plan
    return _log_times(plan.timed())


def _log_times(plan: Plan) -> Plan:
    for line in plan.estimates():
        log.info("%s", line)
    return plan


def _read_config(composed: DictConfig, node: DictConfig, retrain_gans_before: float = 0.0) -> Config:
    """Check the configuration, as far as that needs no torch. node: Hydra's own."""
    check_experiment_keys(composed, node.runtime)
    run_folder = Path(node.sweep.dir if node.mode == RunMode.MULTIRUN else node.runtime.output_dir).resolve()
    return Config.read(composed, RunContext(dict(node.runtime.choices), retrain_gans_before, run_folder))


def check_without_torch(composed: DictConfig, node: DictConfig, retrain_gans_before: float = 0.0) -> Config:
    """Read and check a job's configuration, as far as that needs no torch. Raises ConfigError.

    composed: the job's configuration; node: Hydra's own; retrain_gans_before: as RunContext's.
    """
    config = _read_config(composed, node, retrain_gans_before)
    check_batch_sizes(config)
    config.train.check(config)
    return config


def _start_of_command(node: DictConfig, status: Status) -> float:
    """Return when the sweep of the job was started, or the job itself if it is alone, in seconds since 1970."""
    if node.mode == RunMode.MULTIRUN:
        return SweepPlan.load(Path(node.sweep.dir)).started
    return status.started
