"""The cache of decoded images: a folder of uint8 pixels and an index, shared by later runs and parallel jobs."""

import hashlib
import logging
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from PIL import Image

import fer_experiments.pandas_strings  # noqa: F401 - before any table of names
from fer_experiments.atomic_write import sync
from fer_experiments.data.checksums import find_damage, write_checksums
from fer_experiments.data.decode import decode, find_white_level
from fer_experiments.data.groups import join_groups
from fer_experiments.data.sources.base import DataSource
from fer_experiments.errors import ConfigError
from fer_experiments.progress import show_activity, show_stage

log = logging.getLogger(__name__)
IMAGES, INDEX = FILES = ("images.npy", "index.csv")
MAX_SIDE = 128  # if data.image_size is null, images that are larger or of unlike sizes are resized to this side
VERSION = 3  # of the file formats; a new version makes new caches
DARKER_SHARE = 0.9  # of the images: if so many are darker than the brightest, these may have a mark
SUBMITTED_AT_ONCE = 1000  # images, so that memory does not grow with their number


@dataclass(frozen=True)
class ImageCache:
    """Decoded images (N, S, S, C) uint8, memory-mapped, and the index of their files.

    index: path, label, part, content_hash, error, white_level and group of each image; error is "" if it could be
    decoded, white_level is "" if it has 8 bits, group (join_groups) is "" without groups. The labels are those of
    data.rename. Labels and groups are not in the files, because they change no pixel.
    """

    folder: Path
    images: np.ndarray
    index: pd.DataFrame

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the images, which another process maps from the file."""
        return {"folder": self.folder, "index": self.index}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, images=np.load(state["folder"] / IMAGES, mmap_mode="r"))

    @property
    def bytes(self) -> int:
        """The size of the folder's files."""
        return sum(file.stat().st_size for file in self.folder.iterdir())

    @property
    def white_level(self) -> float | None:
        """The value that became white in grayscale images of more than 8 bits; None if there are none."""
        levels = self.index["white_level"]
        return max((float(level) for level in levels[levels != ""].unique()), default=None)


class DecodedItem(NamedTuple):
    """An image of the source: pixels (side, side, C) uint8 and the hash of those before resizing, or an error.

    white_level: by which an image of more than 8 bits was decoded; None if it has 8.
    """

    pixels: np.ndarray | None
    content_hash: str = ""
    error: str = ""
    white_level: float | None = None


def open_cache(source: DataSource) -> ImageCache:
    """Return the cache of `source`; build it first if it does not exist or is damaged.

    Raises ConfigError if it can't be written.
    """
    with show_activity("listing images"):
        items = source.items()
        source.check_rename(items)
        source.check_labels(items)
        folder = source.cache_dir / f"v{VERSION}-{type(source).__name__.lower()}-{source.fingerprint(items)}"
    if find_damage(folder, FILES) is not None:
        try:
            source.cache_dir.mkdir(parents=True, exist_ok=True)
            with _lock(folder.with_suffix(".lock")):
                damage = find_damage(folder, FILES)
                if damage is not None:  # no other process has built it meanwhile
                    if folder.is_dir():
                        log.warning("the cache %s is damaged (%s) and is built again", folder, damage)
                        shutil.rmtree(folder)
                    _build(source, items, folder)
        except OSError as error:
            raise ConfigError(f"data.cache_dir={source.cache_dir}: can't be written: {error}") from error
    return _load(source, folder)


def _load(source: DataSource, folder: Path) -> ImageCache:
    images = np.load(folder / IMAGES, mmap_mode="r")
    index = pd.read_csv(folder / INDEX, keep_default_na=False, dtype=str, encoding_errors="surrogateescape")
    index["label"] = index["label"].map(source.class_of)
    index["group"] = source.groups(index["path"].tolist())
    return ImageCache(folder, images, index.assign(group=join_groups(index)))


def _lock(path: Path) -> FileLock:
    """Return the lock of a cache, and log a line if another process holds it."""
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
        lock.release()
    except Timeout:
        log.info("waiting: another process is preparing these images (%s)", path)
    return lock


def _build(source: DataSource, items: pd.DataFrame, folder: Path) -> None:
    """Decode all items into `folder`, which appears only when it is complete. The caller holds the cache's lock."""
    for abandoned in folder.parent.glob(f"{folder.name}-*"):  # by a process that was killed
        shutil.rmtree(abandoned)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}-"))
    try:
        decoded = _decode_all(source, list(items["path"]), temporary / IMAGES)
        items.assign(**decoded).to_csv(temporary / INDEX, index=False, errors="surrogateescape")
        _check_unchanged(source, items, folder, decoded["error"])
        write_checksums(temporary, FILES)
        temporary.chmod(0o755)  # mkdtemp's 0o700 would keep it from other users
        temporary.rename(folder)
        sync(folder.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _decode_all(source: DataSource, paths: list[str], file: Path) -> dict[str, list[str]]:
    """Decode images into a .npy file; return their content_hash, error and white_level, "" where there is none.

    Grayscale images of more than 8 bits get one white level, that of the brightest of them; those that were decoded
    with a lower one are decoded again.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # PIL decodes without holding the interpreter's lock
        side = source.image_size or _choose_side(source, paths, pool)
        shape = (len(paths), side, side, source.stored_channels)
        _check_space(source, math.prod(shape))
        images = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
        decoded = [DecodedItem(None)] * len(paths)

        def decode_rows(rows: list[int], white_level: float | None) -> None:
            decode_item = partial(_decode_item, source, side, white_level)
            items = _map(pool, decode_item, [paths[row] for row in rows], "preparing images")
            for row, item in zip(rows, items, strict=True):
                if item.pixels is not None:
                    images[row] = item.pixels
                decoded[row] = item._replace(pixels=None)

        decode_rows(list(range(len(paths))), source.white_level)
        levels = [item.white_level for item in decoded]
        highest = max((level for level in levels if level is not None), default=None)
        if highest is not None:
            log.info(
                "grayscale images of more than 8 bits: %g is white in all of them; data.white_level=VALUE changes it",
                highest,
            )
            _warn_of_few_bright_images([level for level in levels if level is not None])
        lower = [row for row, level in enumerate(levels) if level not in (None, highest)]
        if lower:
            decode_rows(lower, highest)
    images.flush()
    return {
        "content_hash": [item.content_hash for item in decoded],
        "error": [item.error for item in decoded],
        "white_level": ["" if item.white_level is None else str(item.white_level) for item in decoded],
    }


def _check_unchanged(source: DataSource, items: pd.DataFrame, folder: Path, errors: list[str]) -> None:
    """Raise ConfigError if images can't be read because they disappeared or changed in the meantime.

    When they are back, a cache with these errors would be taken for theirs.
    """
    broken = [f"{path} ({error})" for path, error in zip(items["path"], errors, strict=True) if error]
    if broken and not folder.name.endswith(source.fingerprint(source.items())):
        raise ConfigError(
            f"data: images disappeared or changed while they were read: {len(broken)} can't be read, the first "
            f"{broken[0]}; restore them, and start the same command again"
        )


def _check_space(source: DataSource, needed: int) -> None:
    """Raise ConfigError if the disk lacks so many free bytes; a full disk under a memory map kills the process."""
    free = shutil.disk_usage(source.cache_dir).free
    if needed > free:
        raise ConfigError(
            f"data.cache_dir={source.cache_dir}: the decoded images need {needed / 1e6:.1f} MB, {free / 1e6:.1f} MB "
            "are free; name a folder on another disk, or give a smaller data.image_size"
        )


def _map(pool: ThreadPoolExecutor, function: Callable, paths: list[str], activity: str) -> Iterable:
    """Yield the function's results in the order of `paths`. activity: the label of the progress bar."""
    with show_stage(activity, len(paths)) as advance:
        for start in range(0, len(paths), SUBMITTED_AT_ONCE):
            batch = paths[start : start + SUBMITTED_AT_ONCE]
            yield from pool.map(function, batch)
            advance(start + len(batch))


def _choose_side(source: DataSource, paths: list[str], pool: ThreadPoolExecutor) -> int:
    """Return the side of the images if all are squares of one size up to MAX_SIDE, else MAX_SIDE."""
    sizes = {size for size in _map(pool, partial(_read_size, source), paths, "reading sizes") if size}
    if len(sizes) == 1:
        width, height = sizes.pop()
        if width == height <= MAX_SIDE:
            return cast(int, width)
    return MAX_SIDE


def _read_size(source: DataSource, path: str) -> tuple[int, int] | None:
    """Return width and height by the image's header; None if it can't be read."""
    try:
        with source.open(path) as image:
            return image.size
    except Exception:  # the error occurs again, and is reported, when the pixels are read
        return None


def _warn_of_few_bright_images(levels: Sequence[float]) -> None:
    """Warn if a few images, such as those with a burnt-in mark, set a white level at which the others are dark."""
    highest = max(levels)
    darker = [level for level in levels if level < highest]
    if len(darker) >= DARKER_SHARE * len(levels):
        log.warning(
            "%d of %d images reach that value, and the others at most %g, so that these become dark; if it is a mark, "
            "give data.white_level=%g",
            *(len(levels) - len(darker), len(levels), max(darker), max(darker)),
        )


def _decode_item(source: DataSource, side: int, white_level: float | None, path: str) -> DecodedItem:
    """Decode an image and resize it to `side`; white_level: None for the image's own."""
    try:
        with source.open(path) as image:
            picture = decode(image, source.stored_channels, source.max_pixels, white_level)
            level = find_white_level(image)
    except Exception as error:  # decoders raise anything on hostile bytes; each file is reported by name
        return DecodedItem(None, error=f"{type(error).__name__}: {error}".replace("\n", " "))
    digest = hashlib.sha256(f"{picture.mode} {picture.size} ".encode() + picture.tobytes()).hexdigest()
    if picture.size != (side, side):
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    pixels = np.asarray(picture).reshape(side, side, -1)
    return DecodedItem(pixels, digest, white_level=None if level is None else white_level or level)
