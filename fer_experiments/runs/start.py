"""Whether a job starts anew in its folder, continues there, or is skipped because it has finished."""

import json
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from fer_experiments.atomic_write import atomic_write
from fer_experiments.errors import ConfigError
from fer_experiments.run_naming import hashed_values
from fer_experiments.runs.run_config import HYDRA_FOLDER
from fer_experiments.runs.status import LOCK_FILE, Status

log = logging.getLogger(__name__)
CONFIG_FILE = "config.yaml"  # is written when the job has begun its work
MAX_DIFFERENCES_SHOWN = 3


def start_job(
    composed: DictConfig, overrides: Sequence[str], folder: Path, can_continue: Callable[[], bool]
) -> Status | None:
    """Return the status to run the job under, or None if it has finished before. Call it while the folder is locked.

    With rerun=true the folder is emptied first. Raises ConfigError if the folder is another job's or can't be emptied.

    can_continue: whether the job, if it has finished, would do more now.
    """
    previous = Status.find(folder)
    rerun = composed.get("rerun")
    if not isinstance(rerun, bool):
        raise ConfigError(f"rerun={rerun}: must be true, to start over, or false, to continue")
    if previous is not None and rerun:
        _empty_folder(folder, previous)
    else:
        _check_same_job(composed, folder, previous)
    if previous is not None and not rerun:
        start_time = time.strftime("%Y-%m-%d %H:%M", time.localtime(previous.started))
        if previous.state == "done" and not can_continue():
            log.info(
                "already finished (%s, %.0f s; rerun=true starts over, which changed images need): %s",
                start_time,
                previous.seconds,
                folder,
            )
            return None
        endings = {"done": "stopped at its limits", "failed": f"failed ({previous.error})"}
        ending = endings.get(previous.state, "was interrupted")
        log.info("continuing the job of %s, which began %s and %s: %s", previous.process, start_time, ending, folder)
    was_empty = previous.folder_was_empty if previous is not None else not list_job_files(folder)
    return Status(overrides=list(overrides), folder_was_empty=was_empty)


def log_waiting(folder: Path) -> None:
    """Log which process runs the job that this one waits for."""
    status = Status.find(folder)
    process = "another process" if status is None else status.process
    log.info("%s is running the same job; waiting until it ends: %s", process, folder)


def write_hydra_folder(composed: DictConfig, hydra: DictConfig, folder: Path) -> None:
    """Write .hydra/ as Hydra does, but only once the folder is known to be this job's.

    composed: the job's configuration; hydra: the configuration with Hydra's own node.
    """
    (folder / HYDRA_FOLDER).mkdir(exist_ok=True)
    nodes = {"config": composed, "hydra": hydra, "overrides": hydra.hydra.overrides.task}
    for name, node in nodes.items():
        with atomic_write(folder / HYDRA_FOLDER / f"{name}.yaml") as temporary:
            OmegaConf.save(node, temporary)


def _check_same_job(composed: DictConfig, folder: Path, previous: Status | None) -> None:
    """Raise ConfigError if a job with another configuration has worked in the folder."""
    file = folder / CONFIG_FILE
    if not file.is_file():
        return
    written = OmegaConf.load(file)
    old, new = hashed_values(written) if isinstance(written, DictConfig) else {}, hashed_values(composed)
    different = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    if different:
        listed = ", ".join(f"{key}={json.dumps(old.get(key))}" for key in different[:MAX_DIFFERENCES_SHOWN])
        hidden = len(different) - MAX_DIFFERENCES_SHOWN
        more = f" and {hidden} more" if hidden > 0 else ""
        remedy = "or rerun=true to start over in it" if previous is not None else "or remove that run yourself"
        raise ConfigError(
            f"hydra.run.dir={folder}: holds a run of another configuration ({listed}{more} there); give another "
            f"hydra.run.dir, {remedy}"
        )


def list_job_files(folder: Path) -> list[Path]:
    """Return what lies in the folder beside the log and the lock, which are never removed."""
    return [path for path in folder.iterdir() if path.name != LOCK_FILE and path.suffix != ".log"]


def _empty_folder(folder: Path, previous: Status) -> None:
    """Remove all files of the job but its log. Raises ConfigError if the folder may hold anything else."""
    other_jobs = [path.parent for path in folder.rglob(Status.file_name) if path.parent != folder]
    later = [path.name for path in list_job_files(folder) if previous.files and path.name not in previous.files]
    reason = ""
    if other_jobs:
        reason = f"holds other jobs, such as {other_jobs[0]}"
    elif later:
        reason = f"holds {later[0]}, which was not there when its job ended"
    elif not previous.folder_was_empty:
        reason = "had other files before this job's first run"
    if reason:
        raise ConfigError(
            f"rerun=true: {folder} {reason}, which would be lost; give another hydra.run.dir, or remove this job's "
            "files yourself"
        )
    log.info("rerun=true: starting over in %s", folder)
    for path in list_job_files(folder):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
