"""Files that are written whole or not at all, so that a job can be killed at any moment."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fer_experiments.errors import StorageError

PARTIAL = ".partial-"  # of a temporary's name; hidden files are read nowhere
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary path with `path`'s suffix, to be written, which takes the place of `path` when the block ends.

    Where the block raises, `path` is as it was. Raises StorageError for what the disk refuses.
    """
    with whole_files(path.parent) as temporary:
        yield temporary(path.name)


@contextmanager
def whole_files(folder: Path) -> Iterator[Callable[[str], Path]]:
    """As `whole`, for several files of a folder: a function from a file's name to the temporary path to write.

    They are on the disk before the first takes its place.
    """
    written: dict[str, Path] = {}

    def temporary(name: str) -> Path:
        return written.setdefault(name, folder / f"{PARTIAL}{os.getpid()}-{name}")

    try:
        yield temporary
        for path in written.values():
            sync(path)
        for name, path in written.items():
            os.replace(path, folder / name)
        sync(folder)
    except OSError as error:
        _discard(written)
        raise storage_error(error, folder / next(iter(written), "")) from error
    except BaseException:
        _discard(written)
        raise


def _discard(written: dict[str, Path]) -> None:
    for path in written.values():
        with suppress(OSError):  # the error that led here is the one to tell, and remove_partial comes by later
            path.unlink()


def sync(path: Path) -> None:
    """Have a file's content, or a folder's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partial(folder: Path) -> None:
    """Remove, at any depth, what killed processes left half written."""
    for path in folder.rglob(f"{PARTIAL}*"):
        path.unlink(missing_ok=True)


def storage_error(error: OSError, path: Path | None = None) -> StorageError:
    """What can't be written (else the error's own file), why, and what to do about it."""
    if isinstance(error, StorageError):
        return error
    where = path or error.filename or "a file"
    if error.errno in FULL:
        remedy = "free some space, or name a folder on another disk with hydra.run.dir"
    else:
        remedy = "see that the folder is there and can be written, or name another with hydra.run.dir"
    return StorageError(
        f"{where}: can't be written: {error.strerror or error}; {remedy}, and start the same command again: it goes on "
        "from what is finished"
    )
