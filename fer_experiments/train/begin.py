"""Whether a job is to be run in its folder: anew, on from where it was interrupted, or not at all."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fer_experiments.errors import ConfigError
from fer_experiments.identity import settings
from fer_experiments.report.jobs import HYDRA
from fer_experiments.report.status import FILE, LOCK, Status
from fer_experiments.report.sweeps import Plan
from fer_experiments.whole import whole

log = logging.getLogger(__name__)
CONFIG = "config.yaml"  # is there once a job has begun to work, and is its own
DIFFERENCES_SHOWN = 3


def begin(composed: DictConfig, folder: Path) -> Status | None:
    """The status to run the job under, after what rerun=true empties; None where it has finished before.

    Call it while the folder is held. Raises ConfigError where the folder is another job's, or can't be emptied.
    """
    before = Status.load(folder)
    rerun = composed.get("rerun")
    if not isinstance(rerun, bool):
        raise ConfigError(f"rerun={rerun}: is true or false: true starts over, false continues")
    if before is not None and rerun:
        _empty(folder, before)
    else:
        _refuse_another(composed, folder, before)
    if before is not None and not rerun:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(before.started))
        if before.state == "done":
            log.info("finished already (%s, %.0f s; rerun=true starts over): %s", when, before.seconds, folder)
            return None
        what = f"failed ({before.error})" if before.state == "failed" else "was interrupted"
        log.info("continuing what %s began %s and %s: %s", before.who, when, what, folder)
    own = before.own if before is not None else not _contents(folder)
    return Status(overrides=list(HydraConfig.get().overrides.task), own=own)


def say_waiting(folder: Path) -> None:
    holder = Status.load(folder)
    who = "another process" if holder is None else holder.who
    log.info("%s is at the same job; waiting until it ends: %s", who, folder)


def start_of_all(status: Status) -> float:
    """When the sweep that the job belongs to was started, or the job itself; seconds since 1970."""
    hydra = HydraConfig.get()
    return Plan.load(Path(hydra.sweep.dir)).started if hydra.mode == RunMode.MULTIRUN else status.started


def write_overrides(composed: DictConfig, folder: Path) -> None:
    """What Hydra itself would write as .hydra/, as soon as the job starts, into whosever folder."""
    (folder / HYDRA).mkdir(exist_ok=True)
    parts = {"config": composed, "hydra": HydraConfig.instance().cfg, "overrides": HydraConfig.get().overrides.task}
    for name, node in parts.items():
        with whole(folder / HYDRA / f"{name}.yaml") as temporary:
            OmegaConf.save(node, temporary)


def _refuse_another(composed: DictConfig, folder: Path, before: Status | None) -> None:
    """Raise ConfigError where a job of another configuration has worked in the folder."""
    file = folder / CONFIG
    if not file.is_file():
        return
    there = OmegaConf.load(file)
    old, new = settings(there) if isinstance(there, DictConfig) else {}, settings(composed)
    differing = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    if differing:
        shown = ", ".join(f"{key}={old.get(key)}" for key in differing[:DIFFERENCES_SHOWN])
        more = f" and {len(differing) - DIFFERENCES_SHOWN} more" if len(differing) > DIFFERENCES_SHOWN else ""
        remedy = "or rerun=true to start over in it" if before is not None else "or remove that run yourself"
        raise ConfigError(
            f"hydra.run.dir={folder}: holds a run of another configuration ({shown}{more} there); give another "
            f"hydra.run.dir, {remedy}"
        )


def _contents(folder: Path) -> list[Path]:
    """What lies in the folder beside the log and the lock, which stay."""
    return [path for path in folder.iterdir() if path.name != LOCK and path.suffix != ".log"]


def _empty(folder: Path, before: Status) -> None:
    """Remove all that the job left but its log, if nothing else can be there."""
    others = [path.parent for path in folder.rglob(FILE) if path.parent != folder]
    if not before.own or others:
        held = f"holds other jobs, such as {others[0]}" if others else "held other files before this job's first run"
        raise ConfigError(
            f"rerun=true: {folder} {held}, which would be lost; give another hydra.run.dir, or remove this job's files "
            "yourself"
        )
    log.info("rerun=true: starting over in %s", folder)
    for path in _contents(folder):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
