"""predictions.npz: what a classifier said of each validation and test image; every number can be made from it again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from fer_experiments.evaluation.statistics import Array

FILE = "predictions.npz"


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
                classes = tuple(arrays["classes"].tolist())
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise ValueError(f"{path}: holds no predictions of {part}: {error}") from None
        if logits.shape != (len(labels), len(classes)) or hashes.shape != labels.shape:
            raise ValueError(f"{path}: logits {logits.shape}, labels {labels.shape}, {len(classes)} classes: don't fit")
        return cls(logits, labels, hashes, classes)


def save_predictions(folder: Path, parts: Mapping[str, Predictions]) -> None:
    """Write the predictions of every part, all of the same classes."""
    arrays: dict[str, Array] = {"classes": np.array(next(iter(parts.values())).classes)}
    for part, of in parts.items():
        arrays |= {f"{part}_logits": of.logits, f"{part}_labels": of.labels, f"{part}_content_hash": of.content_hash}
    np.savez_compressed(folder / FILE, **arrays)  # type: ignore[arg-type]
