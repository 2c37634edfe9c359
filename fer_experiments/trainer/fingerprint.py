"""The fingerprint of a training: what it was trained on and how, so that its files are not taken for another's."""

import hashlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import fer_experiments
from fer_experiments.data.prepared import PreparedData
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.strict_config import locate_target
from fer_experiments.trainer.config import TrainerConfig


def training_fingerprint(
    trainer: TrainerConfig,
    data: PreparedData,
    seed: int,
    *,
    is_shared: bool = False,
    callbacks: Mapping[str, Any] | None = None,
    ckpt_path: Path | None = None,
    code: str | None = None,
    **settings: Any,
) -> str:
    """Return 16 hexadecimal digits of everything on which the result of a training depends.

    Args:
        trainer: how the training is computed; what can't change its result has no part in the fingerprint.
        data: the images and their split.
        seed: the seed of the training.
        is_shared: the trained network is kept in data.cache_dir for other runs, so that it also depends on what is
            constant in one run: how the images were decoded, the device, and the version of torch.
        callbacks: the user's, which may change anything.
        ckpt_path: the checkpoint from which the training begins; None: it begins with random weights.
        code: hash_source of the user's class that is trained; None: it is of this package.
        settings: the configuration of the network and of its training.
    """
    content = settings | {
        "seed": seed,
        "split": data.split.hash,
        "pixels": [data.cache.images.shape[1:], data.source.channels, data.source.bottleneck],
        "trainer": [
            trainer.max_epochs,
            trainer.limit_batches,
            trainer.chosen_precision,
            trainer.tf32,
            trainer.world_size,
        ],
    }
    if trainer.arguments_with_effect:
        content["trainer_arguments"] = trainer.arguments_with_effect
    if callbacks:
        content["callbacks"] = callbacks
    if ckpt_path is not None:
        content["ckpt_path"] = _hash_file(ckpt_path)
    if code is not None:
        content["code"] = code
    if is_shared:
        content |= {
            "cache": data.cache.folder.name,
            "device": [trainer.uses_cuda, trainer.strategy],
            "versions": [torch.__version__, fer_experiments.__version__],
        }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def hash_source(key: str, target: str) -> str:
    """Return a hash of the file that defines the class `target`, which `key` names."""
    source = inspect.getsourcefile(locate_target(key, target))
    return "" if source is None else hashlib.sha256(Path(source).read_bytes()).hexdigest()


def _hash_file(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"ckpt_path={path}: can't be read: {error.strerror}") from None


def load_finished(folder: Path, fingerprint: str) -> Result | None:
    """Return the result of the training with this fingerprint, or None if `folder` has none.

    Raises ConfigError if the result in `folder` is another training's.
    """
    result = Result.load_or_none(folder)
    if result is not None:
        check_fingerprint(folder, result.fingerprint, fingerprint)
    return result


def check_fingerprint(folder: Path, written: str | None, fingerprint: str) -> None:
    """Raise ConfigError unless the fingerprint that was written in `folder` is that of the present training."""
    if written != fingerprint:
        raise ConfigError(
            f"{folder}: holds a training with other settings or images ({written}, this one is {fingerprint}); start "
            "over with rerun=true, or name another folder with hydra.run.dir"
        )
