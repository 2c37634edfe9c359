"""Generated images on disk: CLASS/*.png and a manifest.csv that says what made each of them, and from which split."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
from PIL import Image

from fer_experiments.data.decode import decode, open_image
from fer_experiments.errors import ConfigError
from fer_experiments.whole import whole, whole_files

MANIFEST = "manifest.csv"
COLUMNS = ["file", "class", "seed", "checkpoint_hash", "split_hash"]
SCORES = ["nearest_distance", "label_probability", "realism"]  # empty where images are not scored
Fault = Literal["memorised", "off_class", "low_quality"]  # what balance.reject can drop an image for
FAULTS: tuple[str, ...] = get_args(Fault)


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

    def take(self, places: np.ndarray) -> "GeneratedImages":
        """Those at `places` (M,), repeats allowed."""
        return GeneratedImages(self.images[places], self.labels[places], self.files[places])

    def counts(self) -> dict[str, int]:
        names, numbers = np.unique(self.labels, return_counts=True)
        return {str(name): int(number) for name, number in zip(names, numbers, strict=True)}


def write_synthetic(
    folder: Path,
    label: str,
    images: np.ndarray,
    seeds: list[int],
    checkpoint_hash: str,
    split_hash: str,
    scores: pd.DataFrame | None = None,
    dropped: Collection[str] = (),
) -> None:
    """Add images (N, S, S, C) uint8 of one class to `folder` and its manifest; seeds[i] made images[i].

    scores: a row an image, SCORES and a bool for each of FAULTS. An image with one of the faults `dropped` has its row
    in the manifest and no file.
    """
    (folder / label).mkdir(parents=True, exist_ok=True)
    new = pd.DataFrame({"file": "", "class": label, "seed": seeds}).assign(
        checkpoint_hash=checkpoint_hash, split_hash=split_hash
    )
    if scores is not None:
        scores = scores.reset_index(drop=True)
        new[SCORES] = scores[SCORES]
        new["faults"] = [" ".join(fault for fault in FAULTS if row[fault]) for _, row in scores.iterrows()]
    kept = np.ones(len(new), dtype=bool) if scores is None else ~scores[list(dropped)].any(axis=1).to_numpy()
    with whole_files(folder / label) as temporary:
        for place in np.flatnonzero(kept):
            pixels, file = images[place], f"{seeds[place]:08d}.png"
            Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(temporary(file))
            new.loc[place, "file"] = f"{label}/{file}"
    manifest = folder / MANIFEST
    if manifest.exists():
        old = pd.read_csv(manifest, dtype=str, keep_default_na=False)
        again = (old["class"] == label) & old["seed"].isin([str(seed) for seed in seeds])
        new = pd.concat([old[~again], new])
    with whole(manifest) as path:
        new.to_csv(path, index=False)


def is_complete(folder: Path) -> bool:
    """Whether all images are there that the manifest names."""
    try:
        files = pd.read_csv(folder / MANIFEST, dtype=str, keep_default_na=False)["file"]
    except (OSError, ValueError):
        return False
    return all((folder / file).is_file() for file in files if file)


def read_synthetic(
    folder: Path, wanted: dict[str, int], split_hash: str, channels: int, reject: Collection[str] = ()
) -> GeneratedImages:
    """The first `wanted` images of each class that have none of the faults `reject`.

    Raises ConfigError where they are too few, are not scored though `reject` names a fault, or saw another split.
    """
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
        drawn = manifest[manifest["class"] == label]
        files = _accepted(where, drawn, reject)
        if len(files) < count:
            remedy = f"make more with python -m fer_experiments.generate CHECKPOINT --count {count}"
            if reject:
                remedy = (
                    f"balance.reject={list(reject)} lets through no more of the {len(drawn)} that were drawn; train a "
                    "better GAN (gan=recipe, gan.images_seen), or reject less"
                )
            raise ConfigError(f"{where}: has {len(files)} images of {label}, {count} are needed; {remedy}")
        images += [_read(folder, file, channels) for file in files[:count]]
        labels += [label] * count
        paths += [str(folder / file) for file in files[:count]]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise ConfigError(f"{where}: images differ in size: {sorted(shapes)}")
    return GeneratedImages(np.stack(images), np.array(labels, dtype=str), np.array(paths, dtype=str))


def _accepted(where: str, drawn: pd.DataFrame, reject: Collection[str]) -> list[str]:
    """The files of a manifest's rows without the faults `reject`."""
    if not reject or drawn.empty:
        return [file for file in drawn["file"] if file]
    if "faults" not in drawn or (drawn[SCORES] == "").any(axis=None):
        raise ConfigError(
            f"{where}: its images are not scored, so balance.reject={list(reject)} can't choose among them; take the "
            "images of a run that had balance.reject set, or use balance.reject=[]"
        )
    faulty = [bool(set(reject) & set(faults.split())) for faults in drawn["faults"]]
    return [file for file, out in zip(drawn["file"], faulty, strict=True) if file and not out]


def _read(folder: Path, file: str, channels: int) -> np.ndarray:
    try:
        path = (folder / file).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ValueError("it lies outside the folder")
        with open_image(path) as image:
            picture = decode(image, channels)
        return np.asarray(picture).reshape(picture.height, picture.width, channels)
    except Exception as error:  # as in the cache: decoders raise anything on hostile bytes
        raise ConfigError(
            f"balance.synthetic={folder}: {file!r}, which {MANIFEST} names, can't be read: {error}"
        ) from None
