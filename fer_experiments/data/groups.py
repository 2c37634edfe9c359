"""Groups of images that belong together, such as those of one person or the frames of one film, and lie in one part.

data.group_pattern or data.group_column names the group of each image. A classifier that knows a person from training
seems better on that person's test images than it is on those of strangers.
"""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fer_experiments.data.sources.base import PARTS, DataSource
from fer_experiments.data.warn_once import warn_once
from fer_experiments.errors import ConfigError
from fer_experiments.override_syntax import format_override

MAX_NAMED = 3  # images in a message
NUMBERED = r"([^/]*)[-_. ]\d+\.\w+$"  # person012_3.png is an image of person012
MIN_LIKELY = 10  # groups that file names seem to name
MIN_PER_CLASS, MIN_SIZE = 2, 1.5  # such groups for each class, and images in each of them


def has_groups(table: pd.DataFrame) -> bool:
    """Whether the images of a table are in groups; else its column group is empty."""
    return bool((table["group"] != "").any())


def check_groups(table: pd.DataFrame, source: DataSource) -> None:
    """Raise ConfigError if groups are asked for and images have none, or if each image is a group of its own."""
    if source.group_key is None:
        return
    without = table.loc[table["group"] == "", "path"]
    if len(without):
        raise ConfigError(
            f"data.{source.group_key}: {len(without):,} of {len(table):,} images have no group, such as "
            f"{', '.join(without.head(MAX_NAMED))}; name the group of every image, or leave these out"
        )
    if table["group"].is_unique:
        raise ConfigError(
            f"data.{source.group_key}: each of the {len(table):,} images is a group of its own, such as "
            f"{', '.join(table['group'].head(MAX_NAMED))}; name what several images share, or give "
            f"data.{source.group_key.partition('=')[0]}=null"
        )


def warn_about_likely_groups(table: pd.DataFrame) -> None:
    """Warn if file names seem to number the images of persons or films, which no key names as groups."""
    prefixes = table["path"].str.extract(NUMBERED, expand=False).dropna()
    prefixes = prefixes[prefixes.str.contains(r"\d")]
    sizes = prefixes.value_counts()
    if len(sizes) < max(MIN_LIKELY, MIN_PER_CLASS * table["label"].nunique()) or sizes.mean() < MIN_SIZE:
        return
    first = table.loc[prefixes.index[prefixes == sizes.index[0]], "path"].head(2)
    warn_once(
        f"data: {len(sizes):,} groups of files have names that differ in their last number alone, such as "
        f"{' and '.join(first)}; if the images of such a group are of one person or film, keep them in one part with "
        f"{format_override(f'data.group_pattern={NUMBERED}')}"
    )


def name_units(table: pd.DataFrame) -> pd.Series:
    """Return for each image the name of what may not be divided between parts.

    That is its group, with other groups that have an image with the same pixels; without groups, its content hash.
    """
    if not has_groups(table):
        return table["content_hash"]
    images, groups = (pd.factorize(table[column])[0] for column in ("content_hash", "group"))
    size = int(images.max() + groups.max()) + 2
    edges = (np.ones(len(table)), (images, images.max() + 1 + groups))
    components = connected_components(coo_array(edges, shape=(size, size)), directed=False)[1]
    return table["group"].groupby(components[images]).transform("min")


def count_groups(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return {part: {class: groups that have images of it}} of a split's table."""
    return {
        part: {
            str(label): int(number)
            for label, number in table[table["split"] == part].groupby("label")["group"].nunique().items()
        }
        for part in PARTS
    }
