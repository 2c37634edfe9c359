"""The real images that a split leaves unused."""

import numpy as np
import pandas as pd

from fer_experiments.data.groups import name_units
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.split import assign_parts, drop_across_parts, drop_other_classes
from fer_experiments.errors import ConfigError
from fer_experiments.random_streams import RandomStream


def list_unused_images(data: PreparedData) -> pd.DataFrame:
    """Return the images that are in no part of the split, a row each, indexed by their rows in the cache.

    They are of the source's training part, of which data.counts and data.imbalance draw only some. None has the pixels
    of an image of the split, of one of a validation or test part that is not used, or of another one of them, and none
    is of a group of the validation or test part.
    """
    table = drop_other_classes(assign_parts(data.cache.index, data.source), data.classes, data.source)
    table, _ = drop_across_parts(table, "content_hash")
    table = table.assign(unit=name_units(table))
    split = data.split.table
    is_measured = table["content_hash"].isin(split.loc[split["split"] != "train", "content_hash"])
    is_protected = table["unit"].isin(table.loc[is_measured | (table["split"] != "train"), "unit"])
    return table[~is_protected & ~table["content_hash"].isin(split["content_hash"])].drop_duplicates("content_hash")


def find_unused_rows(data: PreparedData, counts: dict[str, int]) -> dict[str, np.ndarray]:
    """Return {class: rows in the cache of its unused images}. counts: {class: how many are needed}.

    Raises ConfigError if there are fewer.
    """
    unused = list_unused_images(data)
    rows = {label: unused.index[unused["label"] == label].to_numpy() for label in sorted(counts)}
    for label, available in rows.items():
        if len(available) < counts[label]:
            raise ConfigError(
                f"balance=real_images: {counts[label]} more images of {label} are needed, and the split leaves "
                f"{len(available)} of the source unused; train on fewer with data.counts or data.imbalance, ask for "
                "fewer with balance.add, or use balance=fewer_images, for an estimate from a learning curve"
            )
    return rows


def draw_unused_images(data: PreparedData, counts: dict[str, int], seed: int) -> np.ndarray:
    """Return the rows in the cache of counts = {class: number} unused images, class by class, drawn by seed.

    Raises ConfigError if there are fewer.
    """
    rng = np.random.default_rng([seed, RandomStream.UNUSED_IMAGES])
    rows = find_unused_rows(data, counts)
    return np.concatenate([rng.permutation(available)[: counts[label]] for label, available in rows.items()])
