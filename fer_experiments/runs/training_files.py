"""What a training and its run leave for later: the parts of its images, its result, the clusters of its test images."""

from pathlib import Path

import numpy as np
import pandas as pd

import fer_experiments.pandas_strings  # noqa: F401 - before any table of names
from fer_experiments.data.injection import ADDED_REAL
from fer_experiments.data.split import LEAK_PREFIX, hash_split
from fer_experiments.evaluation.result import Result

TEST_CLUSTERS_FILE = "test_clusters.csv"  # the test images that are alike: content_hash, cluster


def find_training_file(training: Path, name: str) -> Path:
    """Return the file in the folder of a training, or the one in that of its seed, which all arms share."""
    return training / name if (training / name).is_file() else training.parent / name


def read_text_table(path: Path) -> pd.DataFrame:
    """Return a CSV file whose cells are all text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="surrogateescape")


def read_test_clusters(training: Path, hashes: np.ndarray) -> np.ndarray:
    """Return the cluster (N,) of each test image: copies of an image and its near-duplicates have the same.

    Runs of earlier versions have no test_clusters.csv; for them copies alone are known.

    Args:
        training: the folder of a training; the file lies in it, or in that of its seed.
        hashes: (N,) content hashes of the images.
    """
    files = [folder / TEST_CLUSTERS_FILE for folder in (training, training.parent)]
    names = pd.Series(hashes, dtype=str)
    for file in filter(Path.is_file, files):
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        names = names.map(dict(zip(table["content_hash"], "cluster " + table["cluster"], strict=True))).fillna(names)
    return np.unique(names.to_numpy(dtype=str), return_inverse=True)[1]


def find_parts(checkpoint: Path, split_hash: str) -> dict[str, str] | None:
    """Return {content hash: part} of the images of the training; None if it left no split.csv.

    Under a leak the test images, which chose the epoch, count as validation images. A split.csv with another hash than
    `split_hash`, the checkpoint's, is passed over.
    """
    table = _find_split(checkpoint, split_hash)
    if table is None:
        return None
    parts = table["split"].replace("test", "valid") if split_hash.startswith(LEAK_PREFIX) else table["split"]
    added = dict.fromkeys(_find_added_images(checkpoint)["content_hash"], "train")
    return dict(zip(table["content_hash"], parts, strict=True)) | added


def find_groups(checkpoint: Path, split_hash: str) -> set[str]:
    """Return the groups of the images with which the training was trained, or by which it was chosen; {}: without any.

    Arguments as those of `find_parts`.
    """
    table = _find_split(checkpoint, split_hash)
    if table is None or "group" not in table:
        return set()
    used = table if split_hash.startswith(LEAK_PREFIX) else table[table["split"] != "test"]
    return {*used["group"], *_find_added_images(checkpoint)["group"]}


def _find_split(checkpoint: Path, split_hash: str) -> pd.DataFrame | None:
    """Return the table of the training's split.csv, which has the checkpoint's hash; None if there is none."""
    for folder in checkpoint.resolve().parents:
        file = folder / "split.csv"
        if file.is_file() and hash_split(file.read_bytes()) == split_hash.removeprefix(LEAK_PREFIX):
            return read_text_table(file)
    return None


def _find_added_images(checkpoint: Path) -> pd.DataFrame:
    """Return the real images that balance=real_images added to those of the split: content_hash and group."""
    file = checkpoint.resolve().parent.parent / "training.csv"
    table = read_text_table(file) if file.is_file() else pd.DataFrame({"origin": []})
    return table[table["origin"] == ADDED_REAL].reindex(columns=["content_hash", "group"])


def find_result(checkpoint: Path, split_hash: str, epoch: int) -> Result | None:
    """Return the result.json of the training; None if there is none, or if it is not that of this checkpoint's epoch.

    split_hash, epoch: the checkpoint's.
    """
    result = Result.load_or_none(checkpoint.resolve().parent.parent)
    if result is None:
        return None
    is_same = (result.split_hash, result.selected_epoch) == (split_hash.removeprefix(LEAK_PREFIX), epoch)
    return result if is_same and "test" in result.metrics else None
