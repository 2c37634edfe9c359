"""What a split needs of the data and of its keys; each check raises ConfigError and names the remedy."""

from collections import Counter
from collections.abc import Callable

import pandas as pd

from fer_experiments.data.groups import has_groups
from fer_experiments.data.sources.base import PARTS, DataSource
from fer_experiments.data.warn_once import warn_once
from fer_experiments.enumeration import enumerate_names
from fer_experiments.errors import ConfigError
from fer_experiments.override_syntax import format_override

MAX_LISTED = 10  # unreadable images in a message
FEW = 5  # images or groups of a class in a part


def check_readable(index: pd.DataFrame, source: DataSource) -> None:
    """Raise ConfigError if images can't be read and data.skip_corrupt is off; else say how many are left out."""
    corrupt = index[index["error"] != ""]
    if corrupt.empty:
        return
    if source.skip_corrupt:
        counts = ", ".join(f"{number} of {label}" for label, number in corrupt["label"].value_counts().items())
        warn_once(f"data.skip_corrupt=true: leaves out {len(corrupt)} of {len(index)} images ({counts})")
        return
    listed = "\n".join(f"  {row.path}: {row.error}" for row in corrupt.head(MAX_LISTED).itertuples())
    more = f"\n  and {len(corrupt) - MAX_LISTED} more" if len(corrupt) > MAX_LISTED else ""
    raise ConfigError(
        f"data: {len(corrupt)} of {len(index)} images can't be read; mend or remove them, or leave them out "
        f"with data.skip_corrupt=true\n{listed}{more}"
    )


def check_class_keys(available: list[str], source: DataSource) -> None:
    """Raise ConfigError if data.classes or data.counts name a class that is not available, or contradict each other."""
    if source.classes is not None and source.counts is not None:
        extra = sorted(set(source.counts) - set(source.classes))
        if extra:
            raise ConfigError(
                f"data.counts: {', '.join(extra)} is not in data.classes={source.classes}; "
                "give counts for those, or data.counts=null"
            )
    for key, names in (("classes", source.classes), ("counts", source.counts)):
        unknown = sorted(set(names or ()) - set(available))
        if unknown:
            raise ConfigError(f"data.{key}: no class {', '.join(unknown)}; the data has {', '.join(available)}")


def check_classes(classes: tuple[str, ...], source: DataSource) -> None:
    """Raise ConfigError if there are fewer than two classes, or data.minority is not one of them."""
    if len(classes) < 2:
        raise ConfigError(
            f"data: one class only ({', '.join(classes)}); a classifier needs two or more{source.suggest_root()}"
        )
    if source.minority is not None and source.minority not in classes:
        raise ConfigError(f"data.minority={source.minority}: is not one of {', '.join(classes)}")


def check_parts(available: set[str], source: DataSource) -> None:
    """Raise ConfigError if data.parts names a part that the source does not have, or one part twice."""
    parts = source.parts or {}
    for part, source_part in parts.items():
        if source_part is not None and source_part not in available:
            raise ConfigError(
                f"data.parts={{{part}: {source_part}}}: the source has no part {source_part}; it has "
                f"{', '.join(sorted(available))}"
            )
    used = [source_part for source_part in parts.values() if source_part]
    if len(used) != len(set(used)):
        raise ConfigError(f"data.parts={parts}: one part of the source can't be two parts here")


def check_has_train(table: pd.DataFrame, source: DataSource) -> None:
    """Raise ConfigError if data.parts leaves no training images."""
    if not (table["split"] == "train").any():
        raise ConfigError(f"data.parts={source.parts or {}}: leaves no training images; name a part for train")


def check_test_counts(test: pd.DataFrame, test_counts: dict[str, int], classes: tuple[str, ...]) -> None:
    """Raise ConfigError if data.test_counts lacks a class, has an unknown one, or exceeds the test images."""
    for problem, names in (
        ("no class", set(test_counts) - set(classes)),
        ("no count for", set(classes) - set(test_counts)),
    ):
        if names:
            raise ConfigError(
                f"data.test_counts: {problem} {', '.join(sorted(names))}; give one count for each of "
                f"{', '.join(classes)}, or data.test_counts=null"
            )
    for name, count in test_counts.items():
        available = int((test["label"] == name).sum())
        if count > available:
            raise ConfigError(
                f"data.test_counts={{{name}: {count}}}: there are {available} test images of {name}; give fewer, or "
                "carve more out of train with data.parts={test: null} and data.test_fraction"
            )


def check_counts(table: pd.DataFrame, count_valid: Callable[[int], int], source: DataSource) -> None:
    """Raise ConfigError if data.counts exceeds what a class has beside its validation and test images.

    Args:
        table: the images, with the part of each in `split`.
        count_valid: from a count of training images to that of the validation images to be carved out of train.
        source: the data source with its keys.
    """
    sizes = Counter(zip(table["label"], table["split"], strict=True))
    for name, count in (source.counts or {}).items():
        train, valid, test = (sizes[name, part] for part in PARTS)
        if count + count_valid(count) <= train:
            continue
        largest = next((n for n in range(train, 0, -1) if n + count_valid(n) <= train), 0)
        for_valid = valid + (count_valid(largest) if largest else 0)
        fitting = ", ".join(f"{key}: {value}" for key, value in {**(source.counts or {}), name: largest}.items())
        remedy = f"{format_override(f'data.counts={{{fitting}}}')} or fewer"
        remedy = f"give {remedy}" if largest else f"add images of {name}, or leave it out"
        images = "1 image" if train + valid + test == 1 else f"{train + valid + test} images"
        raise ConfigError(
            f"data.counts={{{name}: {count}}}: {name} has {images}, of which {for_valid} are for "
            f"validation and {test} for test, so that at most {largest} can be for training; {remedy}"
        )


def check_complete(table: pd.DataFrame, classes: tuple[str, ...], source_parts: set[str], source: DataSource) -> None:
    """Raise ConfigError if a part of the split lacks a class.

    source_parts: the parts that came with the source; the others were carved out of train.
    """

    def describe(name: str) -> str:
        of_class = table[table["label"] == name]
        number = of_class["group"].nunique()
        groups = f", of {number} {'group' if number == 1 else 'groups'}" if has_groups(table) else ""
        return f"{name} ({len(of_class)} in all{groups})"

    for part in PARTS:
        labels = set(table.loc[table["split"] == part, "label"])
        missing = [name for name in classes if name not in labels]
        if missing:
            carve = f", or carve the part out of train with data.parts={{{part}: null}}"
            carved = source_parts - {"train"}
            advice = f"add some, or choose other classes with data.classes{carve if part in carved else ''}"
            if has_groups(table):
                largest = table["group"].value_counts().index[0]
                advice = (
                    f"each part needs a group of its own of every class; a group by data.{source.group_key} is "
                    f"{largest!r}: if these are not the groups that you mean, name others; else {advice}"
                )
            raise ConfigError(f"data: the class {', '.join(map(describe, missing))} has no images for {part}; {advice}")


def warn_about_few(things: str, counts: dict[str, dict[str, int]], classes: tuple[str, ...]) -> None:
    """Warn about classes with fewer than FEW in a part. things: "images" or "groups"; counts: {part: {class: n}}."""
    few = [name for name in classes if min(counts[part][name] for part in PARTS) < FEW]
    if few:
        few = sorted(few, key=lambda name: counts["train"][name])
        texts = [f"{name}: {', '.join(f'{part} {counts[part][name]}' for part in PARTS)}" for name in few]
        numbers = enumerate_names(texts, separator="; ")
        alone = enumerate_names([name for name in few if counts["test"][name] == 1])
        hopeless = (
            f", and with one test {things[:-1]} of {alone} no number of seeds leads to a verdict" if alone else ""
        )
        warn_once(  # with the first split; those of other seeds have other numbers of groups
            f"data: classes with under {FEW} {things} in a part ({numbers}): their recall is measured on so few "
            f"{things} that it says little{hopeless}; add {things}, or choose other classes with data.classes",
            key="few groups" if things == "groups" else None,
        )


def warn_about_divided_groups(dropped: dict[str, int]) -> None:
    """Warn of images that are left out because their groups lie in several parts of the source."""
    if sum(dropped.values()):
        numbers = " and ".join(f"{number:,} images of its part {part}" for part, number in dropped.items() if number)
        warn_once(
            f"data: groups lie in several parts of the source: {numbers} are left out, because a more protected part "
            "has images of the same groups; to keep them, give parts that divide no group, or no parts at all, which "
            "are then carved by whole groups"
        )


def warn_about_label_conflicts(table: pd.DataFrame) -> None:
    """Warn of pixel-identical images under several of the chosen classes."""
    groups = int((table.groupby("content_hash")["label"].nunique() > 1).sum())
    if groups:
        warn_once(
            f"data: {'1 image lies' if groups == 1 else f'{groups:,} images lie'} in several classes with the same "
            f"pixels, so that no classifier can be right about {'it' if groups == 1 else 'them'}"
        )
