"""Groups of images that belong together, such as those of one person or the frames of one film, and lie in one part.

data.group_pattern or data.group_column names the group of each image. A classifier that knows a person from training
seems better on that person's test images than it is on those of strangers.
"""

import pandas as pd

from fer_experiments.data.sources.base import PARTS, DataSource
from fer_experiments.data.warn_once import warn_once
from fer_experiments.errors import ConfigError
from fer_experiments.override_syntax import format_override

MAX_NAMED = 3  # images in a message
NUMBERED = r"([^/]*\d)[^\d/]+\d+[^\d/]*$"  # person012_3.png is an image of person012, video3_frame2.png of video3
FOLDER = r"[^/]+(?=/[^/]+$)"  # ill/person012/3.png as well
MAX_LOOKED_AT = 1000  # images of each class
MIN_LIKELY = 10  # groups that file names seem to name
MIN_PER_CLASS, MIN_SIZE = 2, 1.5  # such groups for each class, and images in each of them


def has_groups(table: pd.DataFrame) -> bool:
    """Whether the images of a table are in groups; else its column group is empty."""
    return bool((table["group"] != "").any())


def join_groups(index: pd.DataFrame) -> pd.Series:
    """Return the group of each image, in which groups that have an image with the same pixels are one.

    Its name is the first of theirs. index: an ImageCache's.
    """
    if not has_groups(index):
        return index["group"]
    copies = index["content_hash"].where(index["content_hash"] != "", index["path"])  # "": it can't be read
    joined, before = index["group"], None
    while before is None or not joined.equals(before):
        before = joined
        joined = joined.groupby(copies).transform("min")
        joined = joined.groupby(index["group"]).transform("min")
    return joined


def check_groups(table: pd.DataFrame, source: DataSource) -> None:
    """Raise ConfigError if groups are asked for and images have none."""
    without = table.loc[table["group"] == "", "path"]
    if source.group_key is not None and len(without):
        raise ConfigError(
            f"data.{source.group_key}: {len(without):,} of {len(table):,} images have no group, such as "
            f"{', '.join(without.head(MAX_NAMED))}; name the group of every image, or leave these out"
        )


def check_groups_are_shared(table: pd.DataFrame, source: DataSource) -> None:
    """Raise ConfigError if each image is a group of its own."""
    if source.group_key is not None and table["group"].is_unique:
        raise ConfigError(
            f"data.{source.group_key}: each of the {len(table):,} images is a group of its own, such as "
            f"{', '.join(table['group'].head(MAX_NAMED))}; name what several images share, or give "
            f"data.{source.group_key.partition('=')[0]}=null"
        )


def warn_about_likely_groups(table: pd.DataFrame) -> None:
    """Warn if names of files or folders seem to be those of persons or films, which no key names as groups.

    The first MAX_LOOKED_AT images of each class are looked at.
    """
    if table.empty:
        return
    table = table.groupby("label").head(MAX_LOOKED_AT)
    paths = table["path"]
    by_name = paths.str.extract(NUMBERED, expand=False)
    by_folder = paths.str.replace(r"/[^/]*$", "", regex=True)
    by_folder = by_folder[by_folder.groupby([table["part"], table["label"]]).transform("nunique") > 1]
    for groups, pattern, alike in (
        (by_name.dropna(), NUMBERED, "groups of files have names that differ in their last number alone"),
        (by_folder, FOLDER, "groups of files lie in folders below those of the classes"),
    ):
        sizes = groups.value_counts()
        if len(sizes) >= max(MIN_LIKELY, MIN_PER_CLASS * table["label"].nunique()) and sizes.mean() >= MIN_SIZE:
            first = paths[groups.index[groups == sizes.index[0]]].head(2)
            warn_once(
                f"data: {alike}, such as {' and '.join(first)}; if the images of such a group are of one person or "
                "film, keep them in one part with "
                f"{format_override(f'data.group_pattern={pattern}')}"
            )
            return


def describe_groups(table: pd.DataFrame, source: DataSource) -> str:
    """Return "70 groups by group_pattern=p\\d+: 2 to 15 images each, most of p012"; "" without groups."""
    if not has_groups(table):
        return ""
    sizes = table["group"].value_counts()
    return (
        f"{len(sizes):,} groups by data.{source.group_key}: {sizes.min():,} to {sizes.max():,} images each, most of "
        f"{sizes.index[0]}"
    )


def name_units(table: pd.DataFrame) -> pd.Series:
    """Return for each image the name of what may not be divided between parts: its group, or else its content hash."""
    return table["group"] if has_groups(table) else table["content_hash"]


def count_groups(table: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return {part: {class: groups that have images of it}} of a split's table."""
    return {
        part: {
            str(label): int(number)
            for label, number in table[table["split"] == part].groupby("label")["group"].nunique().items()
        }
        for part in PARTS
    }
