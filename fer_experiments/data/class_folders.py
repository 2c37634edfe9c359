"""Generated images of any origin: CLASS/*.png or *.jpg, of any size and mode, with or without a manifest."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

import fer_experiments.pandas_strings  # noqa: F401 - before any table of names
from fer_experiments.data.decode import decode, open_image
from fer_experiments.data.sources.folder import EXTENSIONS
from fer_experiments.data.synthetic import MANIFEST, GeneratedImages
from fer_experiments.errors import ConfigError

SPLIT_HASH_FILE = (
    "split_hash.txt"  # a hash in each line: no image of the validation or test part of these splits was seen
)


def read_class_folders(folder: Path, classes: Sequence[str], channels: int, side: int) -> GeneratedImages:
    """Return all images in folder/CLASS, sorted by class and name, as `read_images` reads them.

    Raises ConfigError as list_class_folders and read_images do.
    """
    files = list_class_folders(folder, classes)
    return read_images([file for label in sorted(files) for file in files[label]], channels, side)


def list_class_folders(folder: Path, classes: Sequence[str]) -> dict[str, list[Path]]:
    """Return {class: its images in folder/CLASS, sorted by name}; hidden files are left out.

    Raises ConfigError if a folder is not named by one of `classes`, and if there are no images.
    """
    known = ", ".join(classes)
    if not folder.is_dir():
        raise ConfigError(f"{folder}: is not a folder; give one that holds CLASS/*.png, with classes of {known}")
    class_folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    unknown = [path.name for path in class_folders if path.name not in classes]
    if unknown:
        raise ConfigError(f"{folder}: {', '.join(unknown)} is not a class of the split; it has {known}")
    files = {path.name: [file for file in sorted(path.iterdir()) if _is_image(file)] for path in class_folders}
    if not any(files.values()):
        raise ConfigError(f"{folder}: has no images in CLASS/*.png, CLASS/*.jpg; its classes can be {known}")
    return files


def read_images(files: Sequence[Path], channels: int, side: int) -> GeneratedImages:
    """Read images, whose folders are named by their classes.

    They become squares of at most `side`, and all of them of `side` if they differ in size. Raises ConfigError for one
    that can't be read.
    """
    pictures = [_read(file, channels, side) for file in files]
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1:
        pictures = [picture.resize((side, side), Image.Resampling.BICUBIC) for picture in pictures]
    images = np.stack([np.asarray(picture).reshape(*picture.size, channels) for picture in pictures])
    return GeneratedImages(images, np.array([file.parent.name for file in files]), np.array([str(f) for f in files]))


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


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in EXTENSIONS and not file.name.startswith(".")


def _read(path: Path, channels: int, side: int) -> Image.Image:
    """Return the image, resized to `side` x `side` if it is larger or no square."""
    try:
        with open_image(path) as image:
            picture = decode(image, channels)
        is_small_square = picture.width == picture.height <= side
        return picture if is_small_square else picture.resize((side, side), Image.Resampling.BICUBIC)
    except Exception as error:  # decoders raise anything on hostile bytes
        raise ConfigError(f"{path}: can't be read: {error}; mend or remove it") from None
