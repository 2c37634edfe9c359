"""A GAN is trained once: all jobs and arms that need the same one share it, also those that run at the same time."""

import logging
import os
import shutil
import socket
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from fer_experiments.data.prepared import PreparedData
from fer_experiments.distributed import global_rank, on_rank_zero
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.report.gan_files import HEALTH_FILE
from fer_experiments.runs.status import hold_lock
from fer_experiments.train.settings import Settings
from fer_experiments.trainer.fingerprint import hash_source, training_fingerprint

log = logging.getLogger(__name__)
VERSION = 1  # of the training and of the kept files; a new version trains anew
KEPT_FILES = (HEALTH_FILE, "samples/*.png", "checkpoints/*.ckpt")
KEPT_IN_CHECKPOINTS = ("pytorch-lightning_version", "epoch", "global_step", "hyper_parameters")
NOT_HASHED = {"pretrained", "target_class", "checkpoint_every"}
NOT_HASHED_WITHOUT_KID = {"checkpoint"}  # it matters only if gan.kid_every is set


def gan_fingerprint(settings: Settings, data: PreparedData, classes: list[str]) -> str:
    """Return the fingerprint of the training of a GAN on these classes; what is drawn from it later has no part.

    The source file of gan.module._target_ is a part of it.
    """
    gan = settings.gan
    if gan.kid_every is None and data.source.bottleneck == gan.image_size:  # the size that its images have anyway
        data = replace(data, source=data.source.model_copy(update={"bottleneck": None}))
    features = None
    if gan.kid_every:
        features = [settings.reference_classifier.fingerprint_values("checkpoint_every"), settings.encoder.describe()]
    return training_fingerprint(
        settings.trainer,
        data,
        settings.seed,
        is_shared=True,
        callbacks=settings.callbacks,
        ckpt_path=settings.ckpt_path,
        version=VERSION,
        gan=gan.model_dump(exclude=NOT_HASHED if gan.kid_every else NOT_HASHED | NOT_HASHED_WITHOUT_KID),
        reference_classifier=features,
        classes=classes,
        code=None if gan.module_target is None else hash_source("gan.module._target_", gan.module_target),
        clean_split=data.split.clean_hash,
    )


def get_or_train_shared(
    settings: Settings, fingerprint: str, name: str, folder: Path, train: Callable[[], Result]
) -> Result:
    """Put a GAN's checkpoints, samples and health into `folder`: those that were kept of this training, or new ones.

    While another process trains the same GAN, this one waits, and logs for which. A GAN with callbacks of the user's is
    always trained, and kept for no other run: a callback may do anything, also what depends on other runs. Raises
    ConfigError if data.cache_dir can't be written.

    Args:
        settings: the configuration.
        fingerprint: of the training.
        name: what log lines call the GAN.
        folder: where the GAN is put.
        train: trains the GAN in `folder`.
    """
    if settings.callbacks:
        return train()
    store = _store_folder(settings.data.cache_dir) / fingerprint
    holder = store.with_suffix(".holder")

    def log_waiting() -> None:
        process = holder.read_text() if holder.is_file() else "another process"
        log.info("the %s is being trained by %s; waiting for it", name, process)

    @on_rank_zero
    def take_kept() -> Result | None:
        kept = _load_kept(store, settings.context.retrain_gans_before)
        if kept is None:
            holder.write_text(f"process {os.getpid()} on {socket.gethostname()}, in {folder}")
            return None
        log.info("the %s was trained before, in %s", name, kept.shared_from)
        _copy_from_store(store, folder)
        return kept

    with hold_lock(store.with_suffix(".lock"), log_waiting) if global_rank() == 0 else nullcontext():
        kept = take_kept()
        if kept is not None:
            return kept
        result = train()
        on_rank_zero(_copy_to_store)(result, folder, store)
        return result


def _store_folder(cache_dir: Path) -> Path:
    store = cache_dir / "gans"
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"data.cache_dir={cache_dir}: can't be written: {error}") from error
    if not os.access(store, os.W_OK):
        raise ConfigError(f"data.cache_dir={cache_dir}: {store} can't be written; name a folder of your own")
    return store


def _load_kept(store: Path, not_before: float) -> Result | None:
    """Return the result of the kept training, unless it was kept before `not_before` (seconds since 1970)."""
    file = store / Result.file_name
    return Result.load(store) if file.is_file() and file.stat().st_mtime >= not_before else None


def _copy_from_store(store: Path, folder: Path) -> None:
    """Copy the kept files. Checkpoints, which are never written to again, are linked if the file system allows it."""
    for file in (file for pattern in KEPT_FILES for file in store.glob(pattern)):
        target = folder / file.relative_to(store)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        if file.suffix != ".ckpt" or not _link(file, target):
            shutil.copy(file, target)


def _link(file: Path, target: Path) -> bool:
    try:
        os.link(file, target)
    except OSError:  # another file system, or one without links
        return False
    return True


def _copy_to_store(result: Result, folder: Path, store: Path) -> None:
    """Put what others need of a finished training into the store, all of it at once."""
    temporary = store.with_suffix(".new")
    if temporary.exists():  # a process was killed here; the lock lets in one at a time
        shutil.rmtree(temporary)
    temporary.mkdir()
    for file in (file for pattern in KEPT_FILES for file in folder.glob(pattern)):
        target = temporary / file.relative_to(folder)
        target.parent.mkdir(exist_ok=True)
        _copy_generator(file, target) if file.suffix == ".ckpt" else shutil.copy(file, target)
    result.model_copy(update={"shared_from": str(folder)}).save(temporary)
    if store.exists():
        shutil.rmtree(store)
    temporary.rename(store)


def _copy_generator(checkpoint: Path, target: Path) -> None:
    """Copy a checkpoint without what generating does not need: optimizers and, of a DCGAN, the discriminator."""
    saved: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    weights = saved["state_dict"]
    if "module" not in saved["hyper_parameters"]["gan"]:
        weights = {key: value for key, value in weights.items() if not key.startswith("discriminator.")}
    torch.save({name: saved[name] for name in KEPT_IN_CHECKPOINTS} | {"state_dict": weights}, target)
