"""Decode every image once: a folder of uint8 pixels and an index, shared by later runs and parallel jobs."""

import hashlib
import json
import logging
import math
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from PIL import Image

from fer_experiments.data.decode import decode
from fer_experiments.data.source import Source
from fer_experiments.errors import ConfigError
from fer_experiments.progress import busy, track
from fer_experiments.whole import sync, whole

log = logging.getLogger(__name__)
IMAGES, INDEX, CHECKSUMS = "images.npy", "index.csv", "checksums.json"
ALWAYS_CHECKED = 2**28  # bytes: a quarter of a second; of a larger file only the size, where its time is as it was
LARGEST_SIDE = 128  # what images of unlike sizes are brought to, and the largest that is kept as it is
VERSION = 2  # of what is written here; a new one makes new caches


@dataclass(frozen=True)
class ImageCache:
    """images (N, S, S, C) uint8, memory-mapped; index has a row each: path, label, part, content_hash, error."""

    folder: Path
    images: np.ndarray
    index: pd.DataFrame

    @property
    def bytes(self) -> int:
        return sum(file.stat().st_size for file in self.folder.iterdir())


def open_cache(source: Source) -> ImageCache:
    """The cache of `source`, made first if it is not there, or anew if damaged.

    Raises ConfigError where it can't be written.
    """
    with busy("listing images"):
        items = source.items()
        folder = source.cache_dir / f"v{VERSION}-{type(source).__name__.lower()}-{source.fingerprint(items)}"
    if _damage(folder) is not None:
        try:
            source.cache_dir.mkdir(parents=True, exist_ok=True)
            with _lock(folder.with_suffix(".lock")):
                damage = _damage(folder)
                if damage is not None:  # nobody else made it meanwhile
                    if folder.is_dir():
                        log.warning("the cache %s is damaged (%s) and is made anew", folder, damage)
                        shutil.rmtree(folder)
                    _build(source, items, folder)
        except OSError as error:
            raise ConfigError(f"data.cache_dir={source.cache_dir}: can't be written: {error}") from error
    return _read(folder)


def _read(folder: Path) -> ImageCache:
    images = np.load(folder / IMAGES, mmap_mode="r")
    index = pd.read_csv(folder / INDEX, keep_default_na=False, dtype=str, encoding_errors="surrogateescape")
    return ImageCache(folder, images, index)


def _damage(folder: Path) -> str | None:
    """What is wrong with a cache's files: a length, a flipped bit; None for nothing."""
    try:
        written = json.loads((folder / CHECKSUMS).read_bytes())
        for name in (IMAGES, INDEX):
            file, stat = folder / name, (folder / name).stat()
            if stat.st_size != written[name]["bytes"]:
                return f"{name} has {stat.st_size} bytes, {written[name]['bytes']} were written"
            untouched = stat.st_mtime_ns == written[name]["time"]
            if not (untouched and stat.st_size > ALWAYS_CHECKED) and _checksum(file) != written[name]["checksum"]:
                return f"{name} has other bytes than were written"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return str(error)
    return None


def _checksum(file: Path) -> int:
    found = 0
    with file.open("rb") as stream:
        while chunk := stream.read(2**22):
            found = zlib.crc32(chunk, found)
    return found


def _seal(folder: Path) -> None:
    """Have the cache's files on the disk, and write what `_damage` holds them to."""
    written = {}
    for name in (IMAGES, INDEX):
        file = folder / name
        sync(file)
        stat = file.stat()
        written[name] = {"bytes": stat.st_size, "time": stat.st_mtime_ns, "checksum": _checksum(file)}
    with whole(folder / CHECKSUMS) as temporary:
        temporary.write_text(json.dumps(written))


def _lock(path: Path) -> FileLock:
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
        lock.release()
    except Timeout:
        log.info("waiting: another process is preparing these images (%s)", path)
    return lock


def _build(source: Source, items: pd.DataFrame, folder: Path) -> None:
    for left in folder.parent.glob(f"{folder.name}-*"):  # by a process that was killed: this one holds the lock
        shutil.rmtree(left)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}-"))
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # PIL decodes without holding the interpreter's lock
            paths = list(items["path"])
            side = source.image_size or _common_side(source, paths, pool)
            shape = (len(items), side, side, source.stored_channels)
            _check_space(source, math.prod(shape))
            images = np.lib.format.open_memmap(temporary / IMAGES, mode="w+", dtype=np.uint8, shape=shape)
            load = partial(_load, source, side)
            hashes, errors = [], []
            for row, (pixels, content_hash, error) in enumerate(_ordered(pool, load, paths, "preparing images")):
                if pixels is not None:
                    images[row] = pixels
                hashes.append(content_hash)
                errors.append(error)
        images.flush()
        items.assign(content_hash=hashes, error=errors).to_csv(temporary / INDEX, index=False, errors="surrogateescape")
        _check_unchanged(source, items, folder, errors)
        _seal(temporary)
        temporary.chmod(0o755)  # mkdtemp's 0o700 would keep it from other users
        temporary.rename(folder)
        sync(folder.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _check_unchanged(source: Source, items: pd.DataFrame, folder: Path, errors: list[str]) -> None:
    """Raise ConfigError where images can't be read because they went or changed in the meantime.

    A cache that says so would be found again when they are back.
    """
    broken = [f"{path} ({error})" for path, error in zip(items["path"], errors, strict=True) if error]
    if broken and not folder.name.endswith(source.fingerprint(source.items())):
        raise ConfigError(
            f"data: images went or changed while they were read: {len(broken)} can't be read, the first {broken[0]}; "
            "restore them, and start the same command again"
        )


def _check_space(source: Source, needed: int) -> None:
    """A disk that fills up under a memory map kills the process, so this is asked first."""
    free = shutil.disk_usage(source.cache_dir).free
    if needed > free:
        raise ConfigError(
            f"data.cache_dir={source.cache_dir}: the decoded images need {needed / 1e6:.1f} MB, {free / 1e6:.1f} MB "
            "are free; name a folder on another disk, or give a smaller data.image_size"
        )


def _ordered(pool: ThreadPoolExecutor, work: Callable, paths: list[str], what: str) -> Iterable:
    """Results in order, submitted a thousand at a time so that memory does not grow with the number of images."""
    for start in track(range(0, len(paths), 1000), what):
        yield from pool.map(work, paths[start : start + 1000])


def _common_side(source: Source, paths: list[str], pool: ThreadPoolExecutor) -> int:
    sizes = {size for size in _ordered(pool, partial(_header_size, source), paths, "reading sizes") if size}
    if len(sizes) == 1:
        width, height = sizes.pop()
        if width == height <= LARGEST_SIDE:
            return cast(int, width)
    return LARGEST_SIDE


def _header_size(source: Source, path: str) -> tuple[int, int] | None:
    try:
        with source.open(path) as image:
            return image.size
    except Exception:  # whatever is wrong is found again, and reported, when the pixels are read
        return None


def _load(source: Source, side: int, path: str) -> tuple[np.ndarray | None, str, str]:
    """Pixels (side, side, C) uint8, the hash of the pixels at their own size, and no error; or what is wrong."""
    try:
        with source.open(path) as image:
            picture = decode(image, source.stored_channels, source.max_pixels)
    except Exception as error:  # decoders raise anything on hostile bytes; each file is reported by name
        return None, "", f"{type(error).__name__}: {error}".replace("\n", " ")
    digest = hashlib.sha256(f"{picture.mode} {picture.size} ".encode() + picture.tobytes()).hexdigest()
    if picture.size != (side, side):
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(picture).reshape(side, side, -1), digest, ""
