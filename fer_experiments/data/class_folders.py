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


def read_class_folders(folder: Path, classes: Sequence[str], channels: int, side: int) -> GeneratedImages:
    """Return all images in folder/CLASS, sorted by class and name; hidden files are left out.

    If they are not all squares of one size, each is resized to `side` x `side`. Raises ConfigError if a folder is not
    named by one of `classes`, if there are no images, and if a file can't be read.
    """
    known = ", ".join(classes)
    if not folder.is_dir():
        raise ConfigError(f"{folder}: is not a folder; give one that holds CLASS/*.png, with classes of {known}")
    class_folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    unknown = [path.name for path in class_folders if path.name not in classes]
    if unknown:
        raise ConfigError(f"{folder}: {', '.join(unknown)} is not a class of the split; it has {known}")
    files = [file for path in class_folders for file in sorted(path.iterdir())
             if file.suffix.lower() in EXTENSIONS and not file.name.startswith(".")]  # fmt: skip
    if not files:
        raise ConfigError(f"{folder}: has no images in CLASS/*.png, CLASS/*.jpg; its classes can be {known}")
    pictures = [_read(file, channels) for file in files]
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1 or any(width != height for width, height in sizes):
        pictures = [picture.resize((side, side), Image.Resampling.BICUBIC) for picture in pictures]
    images = np.stack([np.asarray(picture).reshape(*picture.size, channels) for picture in pictures])
    return GeneratedImages(images, np.array([file.parent.name for file in files]), np.array([str(f) for f in files]))


def read_split_hashes(folder: Path) -> set[str]:
    """Return the hashes of the splits that the folder's manifest names; no hashes if there is no readable manifest."""
    try:
        return set(pd.read_csv(folder / MANIFEST, dtype=str, keep_default_na=False)["split_hash"])
    except (OSError, ValueError, KeyError):
        return set()


def _read(path: Path, channels: int) -> Image.Image:
    try:
        with open_image(path) as image:
            return decode(image, channels)
    except Exception as error:  # decoders raise anything on hostile bytes
        raise ConfigError(f"{path}: can't be read: {error}; mend or remove it") from None
