"""Random draws of so many images of each class that keep pixel-identical images together."""

from collections import Counter

import numpy as np
import pandas as pd


def shuffle_groups(table: pd.DataFrame, rng: np.random.Generator) -> list[list[int]]:
    """Return the groups of pixel-identical images in random order, each as places in `table`."""
    groups = list(table.groupby("content_hash", sort=True).indices.values())
    return [groups[place].tolist() for place in rng.permutation(len(groups))]


def draw_per_class(table: pd.DataFrame, counts: dict[str, int], groups: list[list[int]]) -> np.ndarray:
    """Return the index labels of `counts` images of each class; a group is drawn whole or not at all.

    Groups are tried in order, so that larger counts draw what smaller ones draw and more, wherever groups fit.
    """
    labels = table["label"].to_numpy(dtype=str)
    remaining = Counter(counts)
    drawn: list[int] = []
    for group in groups:
        group_counts = Counter(labels[group].tolist())
        if group_counts <= remaining:
            remaining -= group_counts
            drawn += group
    return table.index[sorted(drawn)].to_numpy()
