"""The training images of a split in a folder, for a generator that is trained by another program."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from fer_experiments.atomic_write import atomic_write
from fer_experiments.data.cache import ImageCache
from fer_experiments.data.class_folders import SPLIT_HASH_FILE
from fer_experiments.data.decode import decode
from fer_experiments.data.sources.base import DataSource
from fer_experiments.data.split import Split
from fer_experiments.errors import ConfigError
from fer_experiments.progress import track

IMAGES_FOLDER = "images"
UNSAFE_CHARACTERS = re.compile(r"[^\w.-]+")
README = """\
{images}/CLASS/*.png are the training images that an image generator may see: {counts}.
They are of the split(s) {hashes} (split*.csv, {hash_file}); no image of their validation and test parts is here.

Train any generator on {images}/, write what it generates to GENERATED/CLASS/*.png, copy {hash_file} into GENERATED/,
and ask whether its images help, with the data keys by which this folder was written:

  python -m fer_experiments {settings} balance=external balance.synthetic=GENERATED \\
      'train.arms=[none,oversample,external]'
"""


def find_common_images(splits: Sequence[Split]) -> pd.DataFrame:
    """Return the rows of the images that are training images of every split, sorted by path.

    Images of some of them alone would be for validation elsewhere, or more than the classifier of a seed has. Raises
    ConfigError if a class has none.
    """
    rows = set.intersection(*(set(split.rows("train")) for split in splits))
    common = splits[0].table.loc[sorted(rows)].sort_values("path")
    empty = sorted(set(splits[0].classes) - set(common["label"]))
    if empty:
        raise ConfigError(
            f"no image of {', '.join(empty)} is a training image of all {len(splits)} seeds; data.split_seed=0, here "
            "and in the study, gives all seeds one split"
        )
    return common


def export_training_images(
    source: DataSource, cache: ImageCache, splits: Mapping[int, Split], folder: Path, settings: str
) -> dict[str, int]:
    """Write the training images that the splits have in common, at their own size; return {class: images}.

    Beside them lie the splits, their hashes and a README. What a network reads is written: 8-bit PNG in the colours and
    with the white level of the training, upright.

    Args:
        source: opens the images.
        cache: of the source.
        splits: {seed: split}; equal ones count once.
        folder: is created; must be empty.
        settings: the overrides of the splits, for the README.

    Raises:
        ConfigError: the folder has files, or a class has no images.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"--out {folder}: is not empty; name another folder, or remove it")
    distinct = {split.hash: (seed, split) for seed, split in sorted(splits.items(), reverse=True)}
    common = find_common_images([split for _, split in distinct.values()])
    for number, (path, label) in track(list(enumerate(zip(common["path"], common["label"], strict=True))), "writing"):
        place = folder / IMAGES_FOLDER / label
        place.mkdir(parents=True, exist_ok=True)
        stem = UNSAFE_CHARACTERS.sub("_", PurePosixPath(path).stem)[:80]
        with source.open(path) as image:
            picture = decode(image, source.stored_channels, source.max_pixels, cache.white_level)
        picture.save(place / f"{number:06d}_{stem}.png")
    for seed, split in distinct.values():
        split.save(folder / ("split.csv" if len(distinct) == 1 else f"split_seed_{seed}.csv"))
    counts = {str(name): int(number) for name, number in common["label"].value_counts().sort_index().items()}
    readme = README.format(
        images=IMAGES_FOLDER,
        counts=", ".join(f"{number} {name}" for name, number in counts.items()),
        hashes=", ".join(sorted(distinct)),
        hash_file=SPLIT_HASH_FILE,
        settings=settings,
    )
    for name, text in {SPLIT_HASH_FILE: "\n".join(sorted(distinct)) + "\n", "README.txt": readme}.items():
        with atomic_write(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="surrogateescape")
    return counts
