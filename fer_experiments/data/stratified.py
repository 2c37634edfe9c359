"""Random draws of so many images of each class that keep together what may not lie in two parts."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd


def shuffle_units(table: pd.DataFrame, rng: np.random.Generator) -> list[list[int]]:
    """Return the images of each unit (data/groups.py) as places in `table`, the units in random order."""
    units = list(table.groupby("unit", sort=True).indices.values())
    return [units[place].tolist() for place in rng.permutation(len(units))]


def draw_per_class(table: pd.DataFrame, counts: dict[str, int], units: list[list[int]]) -> np.ndarray:
    """Return the index labels of `counts` images of each class; a unit is drawn whole or not at all.

    Units are tried in order, so that larger counts draw what smaller ones draw and more, wherever units fit.
    """
    labels = table["label"].tolist()
    remaining = Counter(counts)
    drawn: list[int] = []
    for unit in units:
        unit_counts = Counter(labels[place] for place in unit)
        if all(remaining[name] >= count for name, count in unit_counts.items()):  # `<=` would look at every class
            remaining.subtract(unit_counts)
            drawn += unit
    return table.index[sorted(drawn)].to_numpy()


def draw_nearly_per_class(
    table: pd.DataFrame,
    counts: dict[str, int],
    units: list[list[int]],
    reserved: Mapping[str, int] = MappingProxyType({}),
) -> np.ndarray:
    """Return the index labels of about `counts` images of each class; a unit is drawn whole or not at all.

    For units of many images, of which none may fit. They are tried in order, and one is drawn if it brings the numbers
    nearer to `counts` and leaves the reserved {class: images}. A class that has none then gets the unit with fewest
    images of those that have it, if possible one that leaves these as well.
    """
    labels = table["label"].to_numpy(dtype=str)
    sizes = [Counter(labels[unit].tolist()) for unit in units]
    drawn: list[int] = []
    numbers: Counter[str] = Counter()
    most = {name: int((labels == name).sum()) - count for name, count in reserved.items()}

    def leaves_reserved(after: Counter[str]) -> bool:
        return all(after[name] <= count for name, count in most.items())

    def error(after: Counter[str]) -> float:
        return sum(abs(after[name] - count) / count for name, count in counts.items() if count)

    for place, size in enumerate(sizes):
        if error(numbers + size) < error(numbers) and leaves_reserved(numbers + size):
            numbers += size
            drawn.append(place)
    for name in (name for name, count in counts.items() if count):
        candidates = [place for place, size in enumerate(sizes) if size[name]]
        if not numbers[name] and candidates:
            smallest = min(
                candidates, key=lambda place: (not leaves_reserved(numbers + sizes[place]), sizes[place].total())
            )
            numbers += sizes[smallest]
            drawn.append(smallest)
    return table.index[sorted(image for place in drawn for image in units[place])].to_numpy()
