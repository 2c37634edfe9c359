"""Checkpoints that are written completely or not at all."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.plugins.io import TorchCheckpointIO

from fer_experiments.atomic_write import atomic_write


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's writer of checkpoints, by `save_atomically`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any = None) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        save_atomically(checkpoint, Path(path))


def save_atomically(content: dict[str, Any], path: Path) -> None:
    """Write `content` with torch.save, completely or not at all. Raises StorageError."""
    buffer = io.BytesIO()  # torch's own writer does not report a full disk
    torch.save(content, buffer)
    with atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
