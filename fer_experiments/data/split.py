"""Which image is for training, validation or test: stratified, by seed, exact duplicates on one side.

The way of an image: the source's parts -> duplicates across parts dropped from the less protected part -> the missing
parts carved out of train -> test images drawn by data.test_counts -> training images by data.counts and data.imbalance.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fer_experiments.data.imbalance import imbalanced
from fer_experiments.data.source import PARTS, Source
from fer_experiments.errors import ConfigError
from fer_experiments.whole import whole

COLUMNS = ["path", "label", "split", "content_hash"]


@dataclass(frozen=True)
class Split:
    """table: path, label, split, content_hash, indexed by the row in the cache; its CSV's hash names the split.

    leak_of: the hash of the split that this was made from by data/leak.py, whose test images leak.
    """

    table: pd.DataFrame
    classes: tuple[str, ...]
    report: dict[str, Any]
    leak_of: str | None = None

    @property
    def csv(self) -> str:
        return self.table[COLUMNS].to_csv(index=False, lineterminator="\n")

    @property
    def hash(self) -> str:
        """Of what was made from this split; a leak's is like no other's."""
        return self.clean_hash if self.leak_of is None else f"leak-{self.leak_of}"

    @property
    def clean_hash(self) -> str:
        """`hash`, but for a leak that of the split it was made from, which has the same test images."""
        return self.leak_of or hashlib.sha256(self.csv.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def rows(self, part: str) -> np.ndarray:
        """Rows in the cache of one part's images."""
        return self.table.index[self.table["split"] == part].to_numpy()

    def labels(self, part: str) -> np.ndarray:
        """Class names of one part's images, in the order of `rows`."""
        return self.table.loc[self.table["split"] == part, "label"].to_numpy(dtype=str)

    def counts(self, part: str) -> dict[str, int]:
        """{class: images} of one part, in the order of `classes`."""
        labels = self.labels(part)
        return {name: int((labels == name).sum()) for name in self.classes}

    def save(self, path: Path) -> None:
        with whole(path) as temporary:
            temporary.write_bytes(self.csv.encode("utf-8", "surrogateescape"))


def make_split(index: pd.DataFrame, source: Source, seed: int) -> Split:
    """Split the images that `index` (an ImageCache's) lists. Raises ConfigError where the data can't be split so."""
    report = describe_source(index)
    classes = _choose_classes(index, source)
    table = _assign_parts(index, source)
    table = _readable(table[table["label"].isin(classes)], source)
    given = set(table["split"])
    table, dropped = _drop_straddling(table)
    report["dropped_as_duplicates_of_a_more_protected_part"] = dropped
    table = _carve_test(table, source, classes)
    table = _draw_test(table, source, classes)
    table = _carve_valid_and_draw(table, source, classes, seed)
    _check_every_class_everywhere(table, classes, given)
    table = table.sort_values(["split", "content_hash", "path"], kind="stable")  # mixes the classes
    split = Split(table[COLUMNS], classes, report)
    report["images"] = {part: split.counts(part) for part in PARTS}
    return split


def describe_source(index: pd.DataFrame) -> dict[str, Any]:
    """What was found in the source as given: corrupt files and groups of pixel-identical images."""
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


def _readable(index: pd.DataFrame, source: Source) -> pd.DataFrame:
    corrupt = index[index["error"] != ""]
    if len(corrupt) and not source.skip_corrupt:
        shown = "\n".join(f"  {row.path}: {row.error}" for row in corrupt.head(10).itertuples())
        more = f"\n  and {len(corrupt) - 10} more" if len(corrupt) > 10 else ""
        raise ConfigError(
            f"data: {len(corrupt)} of {len(index)} images can't be read; mend or remove them, or leave them out "
            f"with data.skip_corrupt=true\n{shown}{more}"
        )
    return index[index["error"] == ""]


def _choose_classes(index: pd.DataFrame, source: Source) -> tuple[str, ...]:
    there = sorted(index["label"].unique())
    for key, names in (("classes", source.classes), ("counts", source.counts)):
        unknown = sorted(set(names or ()) - set(there))
        if unknown:
            raise ConfigError(f"data.{key}: no class {', '.join(unknown)}; the data has {', '.join(there)}")
    if source.classes is not None and source.counts is not None:
        extra = sorted(set(source.counts) - set(source.classes))
        if extra:
            raise ConfigError(
                f"data.counts: {', '.join(extra)} is not in data.classes={source.classes}; "
                "give counts for those, or data.counts=null"
            )
    chosen = tuple(sorted(set(source.classes or source.counts or there)))
    if len(chosen) < 2:
        raise ConfigError(f"data: one class only ({', '.join(chosen)}); a classifier needs two or more")
    if source.minority is not None and source.minority not in chosen:
        raise ConfigError(f"data.minority={source.minority}: is not one of {', '.join(chosen)}")
    return chosen


def _assign_parts(index: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Rows with a column split: what data.parts says, else the source's part of the same name if not yet taken."""
    there = set(index["part"])
    mapped = source.parts or {}
    for part, origin in mapped.items():
        if origin is not None and origin not in there:
            raise ConfigError(
                f"data.parts={{{part}: {origin}}}: the source has no part {origin}; it has {', '.join(sorted(there))}"
            )
    taken = [origin for origin in mapped.values() if origin]
    if len(taken) != len(set(taken)):
        raise ConfigError(f"data.parts={mapped}: one part of the source can't be two parts here")
    ours = {origin: part for part, origin in mapped.items() if origin}
    ours |= {part: part for part in PARTS if part in there and part not in mapped and part not in ours}
    if "train" not in ours.values():
        raise ConfigError(f"data.parts={mapped}: leaves no training images; name a part for train")
    return index[index["part"].isin(list(ours))].assign(split=lambda table: table["part"].map(ours))


def _drop_straddling(table: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Where pixel-identical images lie in several parts, only those in test, else in valid, stay."""
    protection = table["split"].map({"train": 0, "valid": 1, "test": 2})
    highest = protection.groupby(table["content_hash"]).transform("max")
    drop = protection < highest
    return table[~drop], {part: int((drop & (table["split"] == part)).sum()) for part in ("train", "valid")}


def _shuffled_groups(table: pd.DataFrame, rng: np.random.Generator) -> list[list[int]]:
    """Places in `table` of the rows that are alike in content, group by group in random order."""
    groups = list(table.groupby("content_hash", sort=True).indices.values())
    return [groups[place].tolist() for place in rng.permutation(len(groups))]


def _draw(table: pd.DataFrame, wanted: dict[str, int], groups: list[list[int]]) -> np.ndarray:
    """Index labels of `wanted` images of each class; a group is taken whole or not at all.

    They are tried in order, so that a larger `wanted` contains a smaller one wherever it fits.
    """
    labels = table["label"].to_numpy(dtype=str)
    left = Counter(wanted)
    drawn: list[int] = []
    for group in groups:
        need = Counter(labels[group].tolist())
        if need <= left:
            left -= need
            drawn += group
    return table.index[sorted(drawn)].to_numpy()


def _carve_test(table: pd.DataFrame, source: Source, classes: tuple[str, ...]) -> pd.DataFrame:
    if (table["split"] == "test").any():
        return table
    train = table[table["split"] == "train"]
    available = train["label"].value_counts()
    wanted = {name: _share(source.test_fraction, int(available.get(name, 0))) for name in classes}
    drawn = _draw(train, wanted, _shuffled_groups(train, np.random.default_rng([source.test_seed, 1])))
    return table.assign(split=table["split"].where(~table.index.isin(drawn), "test"))


def _draw_test(table: pd.DataFrame, source: Source, classes: tuple[str, ...]) -> pd.DataFrame:
    """Leave as many test images as data.test_counts says; those not drawn go to no part, nor do their duplicates."""
    if source.test_counts is None:
        return table
    shown = ", ".join(classes)
    for what, names in (
        ("no class", set(source.test_counts) - set(classes)),
        ("no count for", set(classes) - set(source.test_counts)),
    ):
        if names:
            raise ConfigError(
                f"data.test_counts: {what} {', '.join(sorted(names))}; give one count for each of {shown}, "
                "or data.test_counts=null"
            )
    test = table[table["split"] == "test"]
    for name, count in source.test_counts.items():
        available = int((test["label"] == name).sum())
        if count > available:
            raise ConfigError(
                f"data.test_counts={{{name}: {count}}}: there are {available} test images of {name}; give fewer, or "
                "carve more out of train with data.parts={test: null} and data.test_fraction"
            )
    groups = _shuffled_groups(test, np.random.default_rng([source.test_seed, 3]))
    drawn = _draw(test, source.test_counts, [[place] for group in groups for place in group])
    return table[(table["split"] != "test") | table.index.isin(drawn)]


def _carve_valid_and_draw(table: pd.DataFrame, source: Source, classes: tuple[str, ...], seed: int) -> pd.DataFrame:
    """Validation images by valid_fraction, then the training images that counts and imbalance ask for."""
    train = table[table["split"] == "train"]
    available = {name: int((train["label"] == name).sum()) for name in classes}
    carve = not (table["split"] == "valid").any()
    counts = source.counts or {}
    valid = {name: _share(source.valid_fraction, counts.get(name, available[name])) if carve else 0 for name in classes}
    for name, count in counts.items():
        left_over = max(0, available[name] - valid[name])
        if count > left_over:
            raise ConfigError(
                f"data.counts={{{name}: {count}}}: there are {left_over} training images of {name}"
                + (
                    f" beside {valid[name]} for validation (data.valid_fraction={source.valid_fraction})"
                    if carve
                    else ""
                )
            )
    groups = _shuffled_groups(train, np.random.default_rng([seed, 2]))
    drawn_valid = _draw(train, valid, groups)
    in_valid = train.index.isin(drawn_valid)
    left = train[~in_valid]
    wanted = {name: counts.get(name, int((left["label"] == name).sum())) for name in classes}
    # From the other end of the row: where counts grow, neither part loses an image to the other.
    singles = [[place] for group in reversed(groups) for place in group if not in_valid[place]]
    drawn_train = _draw(train, imbalanced(wanted, source), singles)
    split = table["split"].where(table["split"] != "train", "")
    split[table.index.isin(drawn_valid)] = "valid"
    split[table.index.isin(drawn_train)] = "train"
    return table.assign(split=split)[split != ""]


def _share(fraction: float, count: int) -> int:
    return max(1, round(fraction * count))


def _check_every_class_everywhere(table: pd.DataFrame, classes: tuple[str, ...], given: set[str]) -> None:
    """`given` are the parts that came with the source; the others were carved out of train."""
    for part in PARTS:
        labels = set(table.loc[table["split"] == part, "label"])
        missing = [name for name in classes if name not in labels]
        if missing:
            carve = f", or carve the part out of train with data.parts={{{part}: null}}"
            raise ConfigError(
                f"data: the class {', '.join(missing)} has no images for {part}; add some, or choose other classes "
                "with data.classes" + (carve if part in given - {"train"} else "")
            )
