"""The file of an encoder's weights, as a user names it."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from fer_experiments.strict_config import UserPath


def _check_exists(path: Path) -> Path:
    if not path.is_file():
        raise ValueError("there is no such file; give the weights of the network, or use encoder=reference")
    return path


WeightsFile = Annotated[UserPath, AfterValidator(_check_exists)]
"""The path of a file that exists."""


def describe_file(path: Path) -> str:
    """Return "model.safetensors, SHA-256 0123456789ab..."."""
    stat = path.stat()
    return f"{path.name}, SHA-256 {_hash(path, stat.st_size, stat.st_mtime_ns)[:12]}..."


@lru_cache
def _hash(path: Path, size: int, time: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
