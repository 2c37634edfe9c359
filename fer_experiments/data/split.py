"""Which image is for training, validation or test: stratified, by seed, with exact duplicates and groups in one part.

The steps, in order: take the source's parts; drop duplicates and groups across parts from the less protected part;
carve the missing parts out of train; draw test images by data.test_counts; draw training images by data.counts and
data.imbalance.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import fer_experiments.pandas_strings  # noqa: F401 - before any table of names
from fer_experiments.atomic_write import atomic_write
from fer_experiments.data.groups import (
    check_groups,
    check_groups_are_shared,
    count_groups,
    has_groups,
    name_units,
    warn_about_likely_groups,
)
from fer_experiments.data.imbalance import apply_imbalance
from fer_experiments.data.sources.base import PARTS, DataSource
from fer_experiments.data.split_checks import (
    check_class_keys,
    check_classes,
    check_complete,
    check_counts,
    check_has_train,
    check_parts,
    check_readable,
    check_test_counts,
    warn_about_divided_groups,
    warn_about_few,
    warn_about_label_conflicts,
)
from fer_experiments.data.stratified import draw_nearly_per_class, draw_per_class, shuffle_units
from fer_experiments.random_streams import RandomStream

LEAK_PREFIX = "leak-"  # of the hash of a split that data/leak.py made
COLUMNS = ["path", "label", "split", "content_hash", "group"]
MIN_VALID = 20  # validation images of a class
DROPPED = "dropped_as_duplicates_of_a_more_protected_part"  # keys of Split.report
DROPPED_GROUPS = "dropped_as_of_a_group_in_another_part"


@dataclass(frozen=True)
class Split:
    """The images of each part.

    Attributes:
        table: COLUMNS, in which split is the part, and group "" without groups; indexed by the rows in the cache.
        classes: their names, sorted.
        report: what was noticed in the data, for data.json.
        leak_of: the hash of the split from which data/leak.py made this one; None for a clean split.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]
    report: dict[str, Any]
    leak_of: str | None = None

    @property
    def csv(self) -> str:
        table = self.table if has_groups(self.table) else self.table.drop(columns="group")
        return table.to_csv(index=False, lineterminator="\n")

    @property
    def hash(self) -> str:
        """The hash that marks everything made from this split; that of a leaking split is "leak-HASH"."""
        return self.clean_hash if self.leak_of is None else f"{LEAK_PREFIX}{self.leak_of}"

    @property
    def clean_hash(self) -> str:
        """The hash of the CSV; for a leaking split, that of the clean split with the same test images."""
        return self.leak_of or hash_split(self.csv.encode("utf-8", "surrogateescape"))

    def rows(self, part: str) -> np.ndarray:
        """Return the rows in the cache of a part's images."""
        return self.table.index[self.table["split"] == part].to_numpy()

    def labels(self, part: str) -> np.ndarray:
        """Return the class names of a part's images, in the order of `rows`."""
        return self.table.loc[self.table["split"] == part, "label"].to_numpy(dtype=str)

    def counts(self, part: str) -> dict[str, int]:
        """Return {class: images} of a part, in the order of `classes`."""
        return _count(self.table[self.table["split"] == part], self.classes)

    def save(self, path: Path) -> None:
        """Write the table as CSV; `hash` is the hash of these bytes."""
        with atomic_write(path) as temporary:
            temporary.write_bytes(self.csv.encode("utf-8", "surrogateescape"))


def hash_split(content: bytes) -> str:
    """Return the hash of a split, 16 hexadecimal digits, from the content of its split.csv."""
    return hashlib.sha256(content).hexdigest()[:16]


def make_split(index: pd.DataFrame, source: DataSource, seed: int) -> Split:
    """Split the images of an ImageCache's index. Raises ConfigError if the data or its keys do not allow it."""
    report = describe_source(index)
    classes = choose_classes(index, source)
    check_classes(classes, source)
    table = assign_parts(index, source)
    check_has_train(table, source)
    table = drop_other_classes(table, classes, source)
    warn_about_label_conflicts(table)
    check_groups(table, source)
    check_groups_are_shared(table, source)
    if source.group_key is None:
        warn_about_likely_groups(table)
    source_parts = set(table["split"])
    table, report[DROPPED] = drop_across_parts(table, "content_hash")
    table = table.assign(unit=name_units(table))
    table, report[DROPPED_GROUPS] = drop_across_parts(table, "unit")
    warn_about_divided_groups(report[DROPPED_GROUPS])
    table = _carve_test(table, source, classes)
    table = _draw_test(table, source, classes)
    split_seed = seed if source.split_seed is None else source.split_seed
    table = _carve_valid_and_draw_train(table, source, classes, split_seed)
    check_complete(table, classes, source_parts, source)
    split = build_split(table, classes, report)
    warn_about_few("images", report["images"], classes)
    if "groups" in report:
        warn_about_few("groups", report["groups"], classes)
    return split


def build_split(table: pd.DataFrame, classes: tuple[str, ...], report: dict[str, Any]) -> Split:
    """Return the split of a table with COLUMNS, and add its counts to the report."""
    table = table.sort_values(["split", "content_hash", "path"], kind="stable")  # mixes the classes
    split = Split(table[COLUMNS], classes, report)
    report["images"] = {part: split.counts(part) for part in PARTS}
    if has_groups(split.table):
        report["groups"] = count_groups(split.table)
    return split


def describe_source(index: pd.DataFrame) -> dict[str, Any]:
    """Return the numbers of files and of groups of pixel-identical ones in the source, and its unreadable files."""
    corrupt = index[index["error"] != ""]
    groups = (
        index[index["error"] == ""]
        .groupby("content_hash")
        .agg(files=("path", "size"), parts=("part", "nunique"), labels=("label", "nunique"))
    )
    groups = groups[groups["files"] > 1]
    return {
        "files": len(index),
        "corrupt": [{"path": path, "error": error} for path, error in zip(corrupt.path, corrupt.error, strict=True)],
        "duplicate_groups": len(groups),
        "duplicate_files": int(groups["files"].sum()),
        "cross_split_groups": int((groups["parts"] > 1).sum()),
        "label_conflict_groups": int((groups["labels"] > 1).sum()),
    }


def choose_classes(index: pd.DataFrame, source: DataSource) -> tuple[str, ...]:
    """Return the classes of data.classes, else of data.counts, else all, sorted."""
    available = sorted(index["label"].unique())
    check_class_keys(available, source)
    return tuple(sorted(set(source.classes or source.counts or available)))


def assign_parts(index: pd.DataFrame, source: DataSource) -> pd.DataFrame:
    """Add the column split: the part of data.parts, else the source's part of the same name if it is not used yet."""
    available = set(index["part"])
    check_parts(available, source)
    parts = source.parts or {}
    assigned = {source_part: part for part, source_part in parts.items() if source_part}
    assigned |= {part: part for part in PARTS if part in available and part not in parts and part not in assigned}
    return index[index["part"].isin(list(assigned))].assign(split=lambda table: table["part"].map(assigned))


def drop_other_classes(table: pd.DataFrame, classes: tuple[str, ...], source: DataSource) -> pd.DataFrame:
    """Keep the images of the classes that can be read. Raises ConfigError for others without data.skip_corrupt."""
    table = table[table["label"].isin(classes)]
    check_readable(table, source)
    return table[table["error"] == ""]


def drop_across_parts(table: pd.DataFrame, column: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """Keep images of equal value in the column in the most protected of their parts only: test, then valid, then train.

    Returns the table and {part: dropped images}.
    """
    protection = table["split"].map({"train": 0, "valid": 1, "test": 2})
    highest = protection.groupby(table[column]).transform("max")
    drop = protection < highest
    return table[~drop], {part: int((drop & (table["split"] == part)).sum()) for part in ("train", "valid")}


def _carve_test(table: pd.DataFrame, source: DataSource, classes: tuple[str, ...]) -> pd.DataFrame:
    """Move data.test_fraction of each class from train to test, if there is no test part."""
    if (table["split"] == "test").any():
        return table
    train = table[table["split"] == "train"]
    counts = {name: _fraction_of(source.test_fraction, count) for name, count in _count(train, classes).items()}
    rng = np.random.default_rng([source.test_seed, RandomStream.TEST_SPLIT])
    drawn = _draw_units(train, counts, shuffle_units(train, rng))
    return table.assign(split=table["split"].where(~table.index.isin(drawn), "test"))


def _draw_test(table: pd.DataFrame, source: DataSource, classes: tuple[str, ...]) -> pd.DataFrame:
    """Keep data.test_counts test images; the others are used in no part, and neither are their duplicates."""
    if source.test_counts is None:
        return table
    test = table[table["split"] == "test"]
    check_test_counts(test, source.test_counts, classes)
    rng = np.random.default_rng([source.test_seed, RandomStream.TEST_SUBSET])
    places = [place for unit in shuffle_units(test, rng) for place in unit]
    drawn = draw_per_class(test, source.test_counts, _as_single_images(test, places, rng))
    return table[(table["split"] != "test") | table.index.isin(drawn)]


def _carve_valid_and_draw_train(
    table: pd.DataFrame, source: DataSource, classes: tuple[str, ...], seed: int
) -> pd.DataFrame:
    """Draw validation images from train, if there is no valid part, and training images from the rest.

    Both are drawn from one row of shuffled units, validation from its start and training from its end: if data.counts
    grow, neither part loses an image to the other, unless the data has groups.
    """
    train = table[table["split"] == "train"]
    needs_valid = not (table["split"] == "valid").any()
    rng = np.random.default_rng([seed, RandomStream.TRAINING_SPLIT])
    units = shuffle_units(train, rng)
    if not has_groups(train):
        check_counts(table, partial(count_valid, source.valid_fraction) if needs_valid else lambda count: 0, source)
    valid_counts = _count_valid(train, source, classes) if needs_valid else dict.fromkeys(classes, 0)
    valid = _draw_units(train, valid_counts, units, source.counts)
    table = table.assign(split=table["split"].where(~table.index.isin(valid), "valid"))
    if has_groups(train):  # only now is it known how many images are for validation
        check_counts(table, lambda count: 0, source)
    in_valid = train.index.isin(valid)
    counts = _count(train[~in_valid], classes) | (source.counts or {})
    places = [place for unit in reversed(units) for place in unit if not in_valid[place]]
    drawn = draw_per_class(train, apply_imbalance(counts, source), _as_single_images(train, places, rng))
    return table[(table["split"] != "train") | table.index.isin(drawn)]


def _count_valid(train: pd.DataFrame, source: DataSource, classes: tuple[str, ...]) -> dict[str, int]:
    """Return {class: validation images} for data.counts, else for what the class has."""
    counts = _count(train, classes) | (source.counts or {})
    return {name: count_valid(source.valid_fraction, counts[name]) for name in classes}


def count_valid(fraction: float, count: int) -> int:
    """Return the number of validation images of a class: the fraction of `count`.

    If that is less than MIN_VALID it gets more, up to twice as many: a threshold or an epoch that is chosen on four
    images is chosen by chance.
    """
    return max(1, round(min(max(MIN_VALID, fraction * count), 2 * fraction * count)))


def _draw_units(
    table: pd.DataFrame, counts: dict[str, int], units: list[list[int]], reserved: dict[str, int] | None = None
) -> np.ndarray:
    """Draw whole units, which are small without groups: as many images of each class as asked for, or nearly.

    reserved: {class: images} that drawing nearly as many leaves if it can.
    """
    if has_groups(table):
        return draw_nearly_per_class(table, counts, units, reserved or {})
    return draw_per_class(table, counts, units)


def _as_single_images(table: pd.DataFrame, places: list[int], rng: np.random.Generator) -> list[list[int]]:
    """Make a unit of each image. Once a unit can no longer end in two parts, its images may be drawn one by one.

    The units of groups are mixed, so that a small class has images of as many groups as it can.
    """
    order = rng.permutation(places) if has_groups(table) else places
    return [[int(place)] for place in order]


def _count(table: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, int]:
    counts = Counter(table["label"])
    return {name: counts[name] for name in classes}


def _fraction_of(fraction: float, count: int) -> int:
    """Return the fraction of a count, rounded, but at least 1."""
    return max(1, round(fraction * count))
