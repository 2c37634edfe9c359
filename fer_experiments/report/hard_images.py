"""The test images that every classifier of a study gets wrong."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.runs.training_files import find_training_file, read_text_table

HARD_IMAGES_FILE = "hard_images.csv"
MIN_CLASSIFIERS = 3  # with fewer, mistakes in common say little about the images


@dataclass(frozen=True)
class HardImage:
    """A test image that no classifier gets right. predicted: the class for which most of them take it."""

    content_hash: str
    label: str
    predicted: str


def find_hard_images(predictions: Sequence[Predictions]) -> list[HardImage]:
    """Return the hard images of classifiers that were measured on the same images; of few classifiers, none."""
    if len(predictions) < MIN_CLASSIFIERS:
        return []
    first = predictions[0]
    predicted = np.stack([each.predicted for each in predictions])
    votes = np.stack([(predicted == place).sum(0) for place in range(len(first.classes))])
    return [
        HardImage(
            str(first.content_hash[image]), first.classes[first.labels[image]], first.classes[votes[:, image].argmax()]
        )
        for image in np.flatnonzero((predicted != first.labels).all(0))
    ]


def build_hard_images_table(images: Sequence[HardImage], training: Path) -> pd.DataFrame:
    """Return path, label, predicted and content_hash; identical copies of a test image have a row each.

    training: the folder of a training, whose split.csv knows the paths; they are empty if it can't be read.
    """
    table = pd.DataFrame(list(map(asdict, images))).drop_duplicates("content_hash")
    try:
        split = read_text_table(find_training_file(training, "split.csv"))
    except (OSError, ValueError):
        return table.assign(path="")
    paths = split.loc[split["split"] == "test", ["path", "content_hash"]]
    return paths.merge(table, on="content_hash")[["path", "label", "predicted", "content_hash"]]
