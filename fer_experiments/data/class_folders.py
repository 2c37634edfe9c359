"""Generated images from anywhere: CLASS/*.png or *.jpg, of any size and mode, with or without a manifest."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fer_experiments.data.decode import decode, open_image
from fer_experiments.data.sources import EXTENSIONS
from fer_experiments.data.synthetic import MANIFEST, GeneratedImages
from fer_experiments.errors import ConfigError


def read_class_folders(folder: Path, classes: Sequence[str], channels: int, side: int) -> GeneratedImages:
    """All images in the folders of `classes`, by class and name; hidden files are left out.

    They stay as they are where all are squares of one size, else each is brought to `side` x `side`. Raises ConfigError
    for a folder of no known class, one without any image, and a file that can't be read.
    """
    known = ", ".join(classes)
    if not folder.is_dir():
        raise ConfigError(f"{folder}: is no folder; give one that holds CLASS/*.png, with classes of {known}")
    found = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    unknown = [path.name for path in found if path.name not in classes]
    if unknown:
        raise ConfigError(f"{folder}: {', '.join(unknown)} is no class of the split; it has {known}")
    files = [file for path in found for file in sorted(path.iterdir())
             if file.suffix.lower() in EXTENSIONS and not file.name.startswith(".")]  # fmt: skip
    if not files:
        raise ConfigError(f"{folder}: has no images in CLASS/*.png, CLASS/*.jpg; its classes can be {known}")
    pictures = [_read(file, channels) for file in files]
    (size, _), *others = Counter(picture.size for picture in pictures).most_common()
    if others or size[0] != size[1]:
        pictures = [picture.resize((side, side), Image.Resampling.BICUBIC) for picture in pictures]
    images = np.stack([np.asarray(picture).reshape(*picture.size, channels) for picture in pictures])
    return GeneratedImages(images, np.array([file.parent.name for file in files]), np.array([str(f) for f in files]))


def splits_of(folder: Path) -> set[str]:
    """The hashes of the splits that the folder's manifest names; none where there is no manifest."""
    try:
        return set(pd.read_csv(folder / MANIFEST, dtype=str, keep_default_na=False)["split_hash"])
    except (OSError, ValueError, KeyError):
        return set()


def _read(path: Path, channels: int) -> Image.Image:
    try:
        with open_image(path) as image:
            return decode(image, channels)
    except Exception as error:  # as in the cache: decoders raise anything on hostile bytes
        raise ConfigError(f"{path}: can't be read: {error}; mend or remove it") from None
