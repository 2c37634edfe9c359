"""Generated images of any origin: CLASS/*.png or *.jpg, of any size and mode, with or without a manifest."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

import fer_experiments.pandas_strings  # noqa: F401 - before any table of names
from fer_experiments.data.decode import decode, find_white_level, open_image
from fer_experiments.data.sources.folder import (
    count_other_types,
    is_image,
    list_files,
    warn_about_loose_images,
    warn_about_skipped,
)
from fer_experiments.data.synthetic import MANIFEST, GeneratedImages
from fer_experiments.errors import ConfigError

SPLIT_HASH_FILE = (
    "split_hash.txt"  # a hash in each line: no image of the validation or test part of these splits was seen
)


def read_class_folders(
    folder: Path, classes: Sequence[str], channels: int, side: int, white_level: float | None
) -> GeneratedImages:
    """Return all images in folder/CLASS, sorted by class and name, as `read_images` reads them.

    Args:
        folder: holds a folder for each class.
        classes: the classes that there may be.
        channels: 1 or 3, of the images returned.
        side: the largest side, in pixels.
        white_level: that of the real images; None: they have 8 bits, and those of the folder have one of their own.

    Raises:
        ConfigError: as list_class_folders and read_images do.
    """
    files = list_class_folders(folder, classes)
    paths = [file for label in sorted(files) for file in files[label]]
    labels = [label for label in sorted(files) for _ in files[label]]
    return read_images(paths, labels, channels, side, white_level or find_common_white_level(paths))


def list_class_folders(folder: Path, classes: Sequence[str]) -> dict[str, list[Path]]:
    """Return {class: its images in folder/CLASS at any depth, sorted}, as data=folder does.

    Hidden files are left out; files of other types, and images beside the folders of classes, are counted in a warning.
    Raises ConfigError if a folder is not named by one of `classes`, if one can't be read, and if there are no images.
    """
    known = ", ".join(classes)
    if not folder.is_dir():
        raise ConfigError(f"{folder}: is not a folder; give one that holds CLASS/*.png, with classes of {known}")
    files: dict[str, list[Path]] = {}
    skipped: Counter[str] = Counter()
    try:
        class_folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        unknown = [path.name for path in class_folders if path.name not in classes]
        if unknown:
            raise ConfigError(f"{folder}: {', '.join(unknown)} is not a class of the split; it has {known}")
        for path in class_folders:
            of_class = list_files(path)
            files[path.name] = [file for file in of_class if is_image(file)]
            skipped += count_other_types(of_class)
    except OSError as error:
        raise ConfigError(f"{error.filename}: can't be read: {error.strerror}") from None
    warn_about_skipped(str(folder), skipped)
    warn_about_loose_images("generated images", folder)
    if not any(files.values()):
        raise ConfigError(f"{folder}: has no images in CLASS/*.png, CLASS/*.jpg; its classes can be {known}")
    return files


def find_common_white_level(files: Sequence[Path]) -> float | None:
    """Return the highest white level of the images, so that they keep their brightness relative to each other.

    None: none of them has more than 8 bits. Raises ConfigError for one that can't be read.
    """
    levels = [_read_white_level(file) for file in files]
    return max((level for level in levels if level is not None), default=None)


def read_images(
    files: Sequence[Path], labels: Sequence[str], channels: int, side: int, white_level: float | None
) -> GeneratedImages:
    """Read images.

    They become squares of at most `side`, and all of them of `side` if they differ in size.

    Args:
        files: their paths.
        labels: the class of each.
        channels: 1 or 3, of the images returned.
        side: the largest side, in pixels.
        white_level: the value that is white in grayscale images of more than 8 bits; None: in each its own.

    Raises:
        ConfigError: if one of them can't be read.
    """
    pictures = [_read(file, channels, side, white_level) for file in files]
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1:
        pictures = [picture.resize((side, side), Image.Resampling.BICUBIC) for picture in pictures]
    images = np.stack([np.asarray(picture).reshape(*picture.size, channels) for picture in pictures])
    return GeneratedImages(images, np.array(labels, dtype=str), np.array([str(file) for file in files], dtype=str))


def find_foreign_splits(folder: Path, split_hash: str) -> list[str]:
    """Return the hashes of the other splits from which the folder's files say that its images were made.

    These are all that the manifest names, or the lines of SPLIT_HASH_FILE if this split is not among them. A folder
    that says nothing names no other split.
    """
    try:
        named = set(pd.read_csv(folder / MANIFEST, dtype=str, keep_default_na=False)["split_hash"])
    except (OSError, ValueError, KeyError):
        named = read_split_hashes(folder)
        return [] if split_hash in named else sorted(named)
    return sorted(named - {split_hash})


def read_split_hashes(folder: Path) -> set[str]:
    """Return the hashes of the splits that SPLIT_HASH_FILE names; none if there is no such file."""
    try:
        return set((folder / SPLIT_HASH_FILE).read_text().split())
    except (OSError, UnicodeError):
        return set()


def _read_white_level(path: Path) -> int | None:
    """Return the white level of an image; its pixels are decoded only if it has more than 8 bits."""
    try:
        with open_image(path) as image:
            return find_white_level(image)
    except Exception as error:  # decoders raise anything on hostile bytes
        raise _unreadable(path, error) from None


def _read(path: Path, channels: int, side: int, white_level: float | None) -> Image.Image:
    """Return the image, resized to `side` x `side` if it is larger or no square."""
    try:
        with open_image(path) as image:
            picture = decode(image, channels, white_level=white_level)
        is_small_square = picture.width == picture.height <= side
        return picture if is_small_square else picture.resize((side, side), Image.Resampling.BICUBIC)
    except Exception as error:  # decoders raise anything on hostile bytes
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{path}: can't be read: {error}; mend or remove it")
