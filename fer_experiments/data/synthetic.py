"""Generated images on disk: CLASS/*.png, and a manifest.csv with the origin of each and the split it was made from."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

import fer_experiments.pandas_strings  # noqa: F401 - before any table of names
from fer_experiments.atomic_write import atomic_write, atomic_write_files
from fer_experiments.data.decode import decode, open_image
from fer_experiments.data.faults import FAULTS
from fer_experiments.data.sources.base import file_state
from fer_experiments.errors import ConfigError

MANIFEST = "manifest.csv"
COLUMNS = ["file", "class", "seed", "checkpoint_hash", "split_hash"]
SCORES = ["nearest_distance", "label_probability", "realism"]  # columns; empty if images are not scored


@dataclass(frozen=True)
class GeneratedImages:
    """images (N, S, S, C) uint8, labels (N,) class names, files (N,) their paths."""

    images: np.ndarray
    labels: np.ndarray
    files: np.ndarray

    @classmethod
    def join(cls, parts: "Sequence[GeneratedImages]") -> "GeneratedImages":
        """Return all images of `parts`, in their order."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def take(self, places: np.ndarray) -> "GeneratedImages":
        """Return the images at `places` (M,), repeats allowed."""
        return GeneratedImages(self.images[places], self.labels[places], self.files[places])

    def counts(self) -> dict[str, int]:
        """Return {class: images}, without classes that have none."""
        names, numbers = np.unique(self.labels, return_counts=True)
        return {str(name): int(number) for name, number in zip(names, numbers, strict=True)}


def write_images(
    folder: Path,
    label: str,
    images: np.ndarray,
    seeds: list[int],
    checkpoint_hash: str,
    split_hash: str,
    scores: pd.DataFrame | None = None,
    dropped: Collection[str] = (),
) -> pd.DataFrame:
    """Write images of one class into `folder`, and return their rows for `add_to_manifest`.

    Args:
        folder: may exist or not.
        label: the class.
        images: (N, S, S, C) uint8.
        seeds: the latent seed of each image, which names its file.
        checkpoint_hash: of the generator.
        split_hash: of the split that the generator was trained on.
        scores: SCORES and a bool for each of FAULTS, a row for each image.
        dropped: images with one of these faults have a row in the manifest, but no file.
    """
    (folder / label).mkdir(parents=True, exist_ok=True)
    rows = pd.DataFrame({"file": "", "class": label, "seed": seeds}).assign(
        checkpoint_hash=checkpoint_hash, split_hash=split_hash
    )
    if scores is not None:
        scores = scores.reset_index(drop=True)
        rows[SCORES] = scores[SCORES]
        rows["faults"] = [" ".join(fault for fault in FAULTS if row[fault]) for _, row in scores.iterrows()]
    is_kept = np.ones(len(rows), dtype=bool) if scores is None else ~scores[list(dropped)].any(axis=1).to_numpy()
    with atomic_write_files(folder / label) as temporary:
        for place in np.flatnonzero(is_kept):
            pixels, file = images[place], f"{seeds[place]:08d}.png"
            Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(temporary(file))
            rows.loc[place, "file"] = f"{label}/{file}"
    return rows


def add_to_manifest(folder: Path, parts: Sequence[pd.DataFrame]) -> None:
    """Add rows to the folder's manifest, which may not exist yet; rows of the same class and seed are replaced."""
    if not parts:
        return
    file, rows = folder / MANIFEST, pd.concat(parts)
    if file.exists():
        old = _load_table(folder)
        names = ["class", "seed"]
        is_replaced = pd.MultiIndex.from_frame(old[names]).isin(pd.MultiIndex.from_frame(rows[names].astype(str)))
        rows = pd.concat([old[~is_replaced], rows])
    with atomic_write(file) as temporary:
        rows.to_csv(temporary, index=False)


def is_complete(folder: Path) -> bool:
    """Whether all images that the manifest names exist."""
    try:
        files = _load_table(folder)["file"]
    except (OSError, ValueError):
        return False
    return all((folder / file).is_file() for file in files if file)


def read_synthetic(
    folder: Path, counts: dict[str, int], split_hash: str, channels: int, reject: Collection[str] = ()
) -> GeneratedImages:
    """Read the first `counts` images of each class that have none of the faults `reject`.

    Args:
        folder: of the images and their manifest; balance.synthetic in messages.
        counts: {class: images}.
        split_hash: of the run's split.
        channels: 1 or 3, of the images returned.
        reject: a choice of FAULTS.

    Raises:
        ConfigError: if a class has fewer images, if images that must have no faults are not scored, if they were made
            from another split, or if a file can't be read.
    """
    manifest = _read_manifest(folder, split_hash)
    images, labels, paths = [], [], []
    for label, count in counts.items():
        files = _select_files(folder, manifest, label, count, reject)
        images += [_read_image(folder, file, channels) for file in files]
        labels += [label] * count
        paths += [str(folder / file) for file in files]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise ConfigError(f"balance.synthetic={folder}: images differ in size: {sorted(shapes)}")
    return GeneratedImages(np.stack(images), np.array(labels, dtype=str), np.array(paths, dtype=str))


def _read_manifest(folder: Path, split_hash: str) -> pd.DataFrame:
    """Read a folder's manifest. Raises ConfigError if it can't be read or names another split."""
    where = f"balance.synthetic={folder}"
    try:
        manifest = _load_table(folder)
    except (OSError, ValueError) as error:
        remedy = "images of another generator, without a manifest, are balance=external"
        raise ConfigError(f"{where}: its {MANIFEST} can't be read: {error}; {remedy}") from None
    missing = set(COLUMNS) - set(manifest.columns)
    if missing:
        raise ConfigError(f"{where}: {MANIFEST} lacks the column {', '.join(sorted(missing))}")
    unlike = sorted(set(manifest["split_hash"]) - {split_hash})
    if unlike:
        raise ConfigError(
            f"{where}: made from the split {', '.join(unlike)}, but this run's split is {split_hash}; the GAN may have "
            "seen validation or test images. Train it on this split (the same data keys and seed), or set "
            "balance.synthetic=null"
        )
    return manifest


def _load_table(folder: Path) -> pd.DataFrame:
    """Return the cells of a folder's manifest, as text. Raises OSError or ValueError if it can't be read."""
    file = folder / MANIFEST
    return _read_table(file, file_state(file))


@lru_cache(maxsize=1)  # every class of a run is read by itself
def _read_table(file: Path, state: str) -> pd.DataFrame:
    """Return the table of a file. state: of the file, so that a changed one is read again."""
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def _select_files(folder: Path, manifest: pd.DataFrame, label: str, count: int, reject: Collection[str]) -> list[str]:
    """Return the files of the first `count` images of a class without the faults `reject`.

    Raises ConfigError if they are too few.
    """
    drawn = manifest[manifest["class"] == label]
    files = _accepted_files(folder, drawn, reject)
    if len(files) < count:
        remedy = f"make more with python -m fer_experiments.generate multirun/RUN --count {count}"
        if reject:
            remedy = (
                f"balance.reject={list(reject)} lets through no more of the {len(drawn)} that were drawn; train a "
                "better GAN (gan=recipe, gan.images_seen), or reject less"
            )
        raise ConfigError(
            f"balance.synthetic={folder}: has {len(files)} images of {label}, {count} are needed; {remedy}"
        )
    return files[:count]


def _accepted_files(folder: Path, drawn: pd.DataFrame, reject: Collection[str]) -> list[str]:
    """Return the files of a manifest's rows without the faults `reject`. Raises ConfigError if they are not scored."""
    if not reject or drawn.empty:
        return [file for file in drawn["file"] if file]
    if "faults" not in drawn or (drawn[SCORES] == "").any(axis=None):
        raise ConfigError(
            f"balance.synthetic={folder}: its images are not scored, so balance.reject={list(reject)} can't choose "
            "among them; take the images of a run that had balance.reject set, or use balance.reject=[]"
        )
    is_faulty = [bool(set(reject) & set(faults.split())) for faults in drawn["faults"]]
    return [file for file, faulty in zip(drawn["file"], is_faulty, strict=True) if file and not faulty]


def _read_image(folder: Path, file: str, channels: int) -> np.ndarray:
    """Return the image (S, S, channels) uint8. Raises ConfigError if it can't be read or lies outside the folder."""
    try:
        path = (folder / file).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise ValueError("it lies outside the folder")
        with open_image(path) as image:
            picture = decode(image, channels)
        return np.asarray(picture).reshape(picture.height, picture.width, channels)
    except Exception as error:  # decoders raise anything on hostile bytes
        raise ConfigError(
            f"balance.synthetic={folder}: {file!r}, which {MANIFEST} names, can't be read: {error}"
        ) from None
