"""A GAN is trained once: all jobs and arms that need the same one share it, also those that run at the same time."""

from __future__ import annotations

import logging
import os
import shutil
import socket
from collections.abc import Callable
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fer_experiments.data.module import ImageData
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import FILE as RESULT
from fer_experiments.evaluation.result import Result
from fer_experiments.report.status import held
from fer_experiments.train.ranks import on_first, rank
from fer_experiments.train.resume import fingerprint

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

log = logging.getLogger(__name__)
VERSION = 1  # of how GANs are trained and kept; a new one trains anew
KEPT = ("health.json", "samples/*.png", "checkpoints/*.ckpt")
OF_CHECKPOINTS = ("pytorch-lightning_version", "epoch", "global_step", "hyper_parameters")
WITHOUT_DISTANCE = ("inception", "select")  # of no matter unless gan.kid_every is set


def gan_fingerprint(config: Config, data: ImageData, classes: list[str]) -> str:
    """Of all that the training of a GAN on these classes depends on; what is drawn from it afterwards is no part."""
    gan, trainer = config.gan, config.trainer
    dropped = {"checkpoint", "target_class", "checkpoint_every", *(() if gan.kid_every else WITHOUT_DISTANCE)}
    return fingerprint(
        config,
        data,
        version=VERSION,
        gan=gan.model_dump(exclude=dropped),
        judge=config.judge.model_dump(exclude={"checkpoint_every"}) if gan.kid_every else None,
        classes=classes,
        clean_split=data.split.clean_hash,
        cache=data.cache.folder.name,
        device=[trainer.accelerator != "cpu" and torch.cuda.is_available(), trainer.strategy],
        torch=version("torch"),
    )


def share_gan(config: Config, training: str, what: str, folder: Path, train: Callable[[], Result]) -> Result:
    """`folder` gets the GAN's checkpoints, samples and health: by train(), or those that were kept of this `training`.

    While another process trains it, this one waits, and says for whom. Raises ConfigError where data.cache_dir can't be
    written.
    """
    store = _place(config.data.cache_dir) / training
    holder = store.with_suffix(".holder")

    def say() -> None:
        who = holder.read_text() if holder.is_file() else "another process"
        log.info("the %s is being trained by %s; waiting for it", what, who)

    @on_first
    def taken() -> Result | None:
        kept = _kept(store, config.gans_since)
        if kept is None:
            holder.write_text(f"process {os.getpid()} on {socket.gethostname()}, in {folder}")
            return None
        log.info("the %s was trained before, in %s", what, kept.shared_from)
        _take(store, folder)
        return kept

    with held(store.with_suffix(".lock"), say) if rank() == 0 else nullcontext():
        kept = taken()
        if kept is not None:
            return kept
        result = train()
        on_first(_keep)(result, folder, store)
        return result


def _place(cache_dir: Path) -> Path:
    place = cache_dir / "gans"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"data.cache_dir={cache_dir}: can't be written: {error}") from error
    if not os.access(place, os.W_OK):
        raise ConfigError(f"data.cache_dir={cache_dir}: {place} can't be written; name a folder of your own")
    return place


def _kept(store: Path, since: float) -> Result | None:
    """The kept training's result, unless it was kept before `since`."""
    file = store / RESULT
    return Result.load(store) if file.is_file() and file.stat().st_mtime >= since else None


def _take(store: Path, folder: Path) -> None:
    """Checkpoints, which nobody writes into, are linked where the file system can; all else is copied."""
    for file in (file for pattern in KEPT for file in store.glob(pattern)):
        to = folder / file.relative_to(store)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.unlink(missing_ok=True)
        if file.suffix != ".ckpt" or not _linked(file, to):
            shutil.copy(file, to)


def _linked(file: Path, to: Path) -> bool:
    try:
        os.link(file, to)
    except OSError:  # another file system, or one without links
        return False
    return True


def _keep(result: Result, folder: Path, store: Path) -> None:
    """Put what others need of a finished training into the store, at once."""
    temporary = store.with_suffix(".new")
    if temporary.exists():  # left by a process that was killed, as only one at a time is here
        shutil.rmtree(temporary)
    temporary.mkdir()
    for file in (file for pattern in KEPT for file in folder.glob(pattern)):
        to = temporary / file.relative_to(folder)
        to.parent.mkdir(exist_ok=True)
        _copy_generator(file, to) if file.suffix == ".ckpt" else shutil.copy(file, to)
    result.model_copy(update={"shared_from": str(folder)}).save(temporary)
    if store.exists():
        shutil.rmtree(store)
    temporary.rename(store)


def _copy_generator(checkpoint: Path, to: Path) -> None:
    """A sixth of the bytes: without discriminator and optimizers, which making images needs not."""
    saved: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    weights = {key: value for key, value in saved["state_dict"].items() if key.startswith(("generator.", "average."))}
    torch.save({name: saved[name] for name in OF_CHECKPOINTS} | {"state_dict": weights}, to)
