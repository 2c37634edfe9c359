"""predictions.npz: what a classifier said of each validation and test image; every number can be made from it again."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from fer_experiments.evaluation.statistics import Array
from fer_experiments.whole import whole

FILE = "predictions.npz"
# What np.load raises; TypeError where the file holds one array, NotImplementedError for a kind of zip file.
BROKEN = (OSError, ValueError, KeyError, EOFError, TypeError, NotImplementedError, BadZipFile, zlib.error)


@dataclass(frozen=True)
class Predictions:
    """Of one part: logits (N, K), labels (N,) places in `classes`, content_hash (N,) of the images, as in split.csv."""

    logits: Array
    labels: Array
    content_hash: Array
    classes: tuple[str, ...]

    @property
    def predicted(self) -> Array:
        """Class indices (N,)."""
        return self.logits.argmax(1)

    @classmethod
    def load(cls, folder: Path, part: str) -> "Predictions":
        """Raises ValueError, with the file's name, where the file is missing or holds something else."""
        path = folder / FILE
        try:
            with np.load(path, allow_pickle=False) as arrays:
                logits, labels, hashes = (arrays[f"{part}_{name}"] for name in ("logits", "labels", "content_hash"))
                classes = arrays["classes"]
        except BROKEN as error:
            raise ValueError(f"{path}: holds no predictions of {part}: {error}") from None
        kinds = "".join(array.dtype.kind for array in (logits, labels, hashes, classes))
        if kinds not in ("fiUU", "fuUU"):
            raise ValueError(f"{path}: must hold logits, whole numbers for labels, text for hashes and classes")
        if hashes.shape != labels.shape or logits.shape != labels.shape + classes.shape or logits.ndim != 2:
            shapes = f"logits {logits.shape}, labels {labels.shape}, classes {classes.shape}"
            raise ValueError(f"{path}: {shapes}: don't fit")
        if not labels.size or labels.min() < 0 or labels.max() >= len(classes):
            raise ValueError(f"{path}: labels of {part}: must be places in the {len(classes)} classes, one or more")
        return cls(logits, labels, hashes, tuple(classes.tolist()))


def save_predictions(folder: Path, parts: Mapping[str, Predictions]) -> None:
    """Write the predictions of every part, all of the same classes."""
    arrays: dict[str, Array] = {"classes": np.array(next(iter(parts.values())).classes)}
    for part, of in parts.items():
        arrays |= {f"{part}_logits": of.logits, f"{part}_labels": of.labels, f"{part}_content_hash": of.content_hash}
    with whole(folder / FILE) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
