"""Generated images on disk: CLASS/*.png and a manifest.csv that says what made each of them, and from which split."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fer_experiments.data.cache import to_mode
from fer_experiments.errors import ConfigError

MANIFEST = "manifest.csv"
COLUMNS = ["file", "class", "seed", "checkpoint_hash", "split_hash"]


@dataclass(frozen=True)
class GeneratedImages:
    """images (N, S, S, C) uint8, labels (N,) class names, files (N,) their paths."""

    images: np.ndarray
    labels: np.ndarray
    files: np.ndarray

    @classmethod
    def join(cls, parts: "Sequence[GeneratedImages]") -> "GeneratedImages":
        """All images of `parts`, in their order."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def counts(self) -> dict[str, int]:
        names, numbers = np.unique(self.labels, return_counts=True)
        return {str(name): int(number) for name, number in zip(names, numbers, strict=True)}


def write_synthetic(
    folder: Path, label: str, images: np.ndarray, seeds: list[int], checkpoint_hash: str, split_hash: str
) -> None:
    """Add images (N, S, S, C) uint8 of one class to `folder` and its manifest; seeds[i] made images[i]."""
    (folder / label).mkdir(parents=True, exist_ok=True)
    rows = []
    for pixels, seed in zip(images, seeds, strict=True):
        file = f"{label}/{seed:08d}.png"
        Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(folder / file)
        rows.append([file, label, seed, checkpoint_hash, split_hash])
    new = pd.DataFrame(rows, columns=COLUMNS)
    manifest = folder / MANIFEST
    if manifest.exists():
        old = pd.read_csv(manifest, dtype=str, keep_default_na=False)
        new = pd.concat([old[~old["file"].isin(new["file"])], new])
    new.to_csv(manifest, index=False)


def read_synthetic(folder: Path, wanted: dict[str, int], split_hash: str, channels: int) -> GeneratedImages:
    """The first `wanted` images of each class. Raises ConfigError where they are too few or saw another split."""
    where = f"balance.synthetic={folder}"
    try:
        manifest = pd.read_csv(folder / MANIFEST, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{where}: its {MANIFEST} can't be read: {error}") from None
    missing = set(COLUMNS) - set(manifest.columns)
    if missing:
        raise ConfigError(f"{where}: {MANIFEST} lacks the column {', '.join(sorted(missing))}")
    others = sorted(set(manifest["split_hash"]) - {split_hash})
    if others:
        raise ConfigError(
            f"{where}: made from the split {', '.join(others)}, but this run's split is {split_hash}; the GAN may have "
            "seen validation or test images. Train it on this split (the same data keys and seed), or set "
            "balance.synthetic=null"
        )
    images, labels, paths = [], [], []
    for label, count in wanted.items():
        files = list(manifest.loc[manifest["class"] == label, "file"])
        if len(files) < count:
            raise ConfigError(
                f"{where}: has {len(files)} images of {label}, {count} are needed; make more with "
                f"python -m fer_experiments.generate CHECKPOINT --count {count}"
            )
        images += [_read(folder, file, channels) for file in files[:count]]
        labels += [label] * count
        paths += [str(folder / file) for file in files[:count]]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise ConfigError(f"{where}: images differ in size: {sorted(shapes)}")
    return GeneratedImages(np.stack(images), np.array(labels, dtype=str), np.array(paths, dtype=str))


def _read(folder: Path, file: str, channels: int) -> np.ndarray:
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ConfigError(f"balance.synthetic={folder}: {MANIFEST} names {file}, outside the folder")
    try:
        with Image.open(path) as image:
            return np.asarray(to_mode(image, channels)).reshape(image.height, image.width, channels)
    except Exception as error:  # as in the cache: decoders raise anything on hostile bytes
        raise ConfigError(f"balance.synthetic={folder}: {file} can't be read: {error}") from None
