"""TensorBoard's event files on the disk, so that a resumed training shows no step twice."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from lightning.pytorch.loggers import Logger, TensorBoardLogger

EVENT_FILES = "events.out.tfevents.*"  # TensorBoard takes a folder that holds one for a run


def sync_event_files(loggers: Iterable[Logger], folder: Path) -> dict[str, int]:
    """Write everything that was logged to the disk; return {name: bytes} of the event files in `folder`."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.flush()
    sizes = {}
    for file in folder.glob(EVENT_FILES):
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())
            sizes[file.name] = stream.seek(0, os.SEEK_END)
    return sizes


def truncate_event_files(folder: Path, sizes: Mapping[str, int]) -> None:
    """Cut the event files in `folder` to `sizes`, {name: bytes}, and remove those that are not in it.

    A resumed training writes a new file.
    """
    for file in folder.glob(EVENT_FILES):
        if file.name not in sizes:
            file.unlink()
        elif file.stat().st_size > sizes[file.name]:
            os.truncate(file, sizes[file.name])
