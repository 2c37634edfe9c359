"""Files that are written completely or not at all, so that a job can be killed at any moment."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fer_experiments.errors import StorageError

PARTIAL_PREFIX = ".partial-"  # of temporary files; hidden files are read nowhere
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path with `path`'s suffix to write to; it replaces `path` when the block ends.

    If the block raises, `path` stays as it was. Raises StorageError for whatever the disk refuses.
    """
    with atomic_write_files(path.parent) as temporary:
        yield temporary(path.name)


@contextmanager
def atomic_write_files(folder: Path) -> Iterator[Callable[[str], Path]]:
    """Do as `atomic_write` for several files of a folder: give a function from a file's name to its temporary path.

    All files are on the disk before the first of them is replaced.
    """
    temporaries: dict[str, Path] = {}

    def temporary(name: str) -> Path:
        return temporaries.setdefault(name, folder / f"{PARTIAL_PREFIX}{os.getpid()}-{name}")

    try:
        yield temporary
        for path in temporaries.values():
            sync(path)
        for name, path in temporaries.items():
            os.replace(path, folder / name)
        sync(folder)
    except OSError as error:
        _discard(temporaries.values())
        raise storage_error(error, folder / next(iter(temporaries), "")) from error
    except BaseException:
        _discard(temporaries.values())
        raise


def _discard(paths: Iterable[Path]) -> None:
    for path in paths:
        with suppress(OSError):  # the first error is the one to report; remove_partial removes the file later
            path.unlink()


def sync(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partial(folder: Path) -> None:
    """Remove the temporary files that killed processes left in the folder, at any depth."""
    for path in folder.rglob(f"{PARTIAL_PREFIX}*"):
        path.unlink(missing_ok=True)


def storage_error(error: OSError, path: Path | None = None) -> StorageError:
    """Say which file can't be written (`path`, else the error's own), why, and what to do about it."""
    if isinstance(error, StorageError):
        return error
    where = path or error.filename or "a file"
    if error.errno in DISK_FULL:
        remedy = "free some space, or name a folder on another disk with hydra.run.dir"
    else:
        remedy = "check that the folder exists and can be written, or name another one with hydra.run.dir"
    return StorageError(
        f"{where}: can't be written: {error.strerror or error}; {remedy}, then start the same command again: it "
        "continues from what is finished"
    )
