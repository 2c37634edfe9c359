"""predictions.npz: a classifier's logits for validation and test images, from which its results can be recomputed."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from fer_experiments.atomic_write import atomic_write
from fer_experiments.evaluation.scores import RANKING_METRICS, Array, Metric

PREDICTIONS_FILE = "predictions.npz"
# What np.load raises: TypeError if the file holds one array, NotImplementedError for some kinds of zip files.
READ_ERRORS = (OSError, ValueError, KeyError, EOFError, TypeError, NotImplementedError, BadZipFile, zlib.error)


@dataclass(frozen=True)
class Predictions:
    """The predictions for one part of the data.

    Attributes:
        logits: (N, K).
        labels: (N,) class indices, places in `classes`.
        content_hash: (N,) of the images, as in split.csv.
    """

    logits: Array
    labels: Array
    content_hash: Array
    classes: tuple[str, ...]

    @property
    def predicted(self) -> Array:
        """The predicted class indices (N,)."""
        return self.logits.argmax(1)

    def for_metric(self, metric: Metric) -> Array:
        """Return what `score` takes: the predicted class indices (N,), or for RANKING_METRICS probabilities (N, K)."""
        if metric not in RANKING_METRICS:
            return self.predicted
        from scipy.special import softmax  # takes a while, and few studies ask for it

        return softmax(self.logits.astype(np.float64), axis=1)  # in float32 images that are sure would tie at 1

    @classmethod
    def load(cls, folder: Path, part: str) -> "Predictions":
        """Load the predictions of a part ("valid" or "test").

        Raises ValueError, which names the file, if it is missing or holds something else.
        """
        path = folder / PREDICTIONS_FILE
        try:
            with np.load(path, allow_pickle=False) as arrays:
                logits, labels, hashes = (arrays[f"{part}_{name}"] for name in ("logits", "labels", "content_hash"))
                classes = arrays["classes"]
        except READ_ERRORS as error:
            raise ValueError(f"{path}: holds no predictions of {part}: {error}") from None
        kinds = "".join(array.dtype.kind for array in (logits, labels, hashes, classes))
        if kinds not in ("fiUU", "fuUU"):
            raise ValueError(f"{path}: must hold logits, whole numbers for labels, text for hashes and classes")
        if hashes.shape != labels.shape or logits.shape != labels.shape + classes.shape or logits.ndim != 2:
            shapes = f"logits {logits.shape}, labels {labels.shape}, classes {classes.shape}"
            raise ValueError(f"{path}: {shapes}: don't fit each other")
        if not labels.size or labels.min() < 0 or labels.max() >= len(classes):
            raise ValueError(f"{path}: labels of {part}: must be places in the {len(classes)} classes, one or more")
        return cls(logits, labels, hashes, tuple(classes.tolist()))


def save_predictions(folder: Path, parts: Mapping[str, Predictions]) -> None:
    """Write the predictions of every part. All parts must have the same classes."""
    arrays: dict[str, Array] = {"classes": np.array(next(iter(parts.values())).classes)}
    for part, predictions in parts.items():
        for name in ("logits", "labels", "content_hash"):
            arrays[f"{part}_{name}"] = getattr(predictions, name)
    with atomic_write(folder / PREDICTIONS_FILE) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
