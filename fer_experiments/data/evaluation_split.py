"""The images on which a trained classifier is measured: all but those that it was trained on or chosen by."""

import difflib
from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from fer_experiments.data.groups import check_groups
from fer_experiments.data.sources.base import DataSource
from fer_experiments.data.split import (
    DROPPED,
    DROPPED_GROUPS,
    Split,
    assign_parts,
    build_split,
    choose_classes,
    describe_source,
    drop_across_parts,
    drop_other_classes,
)
from fer_experiments.errors import ConfigError


def split_for_evaluation(
    index: pd.DataFrame,
    source: DataSource,
    classes: tuple[str, ...],
    parts: Mapping[str, str],
    groups: Collection[str] = (),
) -> Split:
    """Put the images that the classifier's training used into its parts train and valid, and all others into test.

    Other images of the groups of those that it used are left out.

    Of the data that the classifier was trained on this makes the training's own split again, unless the training left
    images unused. data.classes or data.counts choose the classes, and data.parts which parts of the source take part.

    Args:
        index: an ImageCache's.
        source: where its images are from.
        classes: the classes that the classifier knows, which are those of the split.
        parts: {content hash: part} of the images of the classifier's training.
        groups: of these images.

    Raises:
        ConfigError: the classifier does not know a class of the data, or no image is left to measure.
    """
    report = describe_source(index)
    chosen = choose_classes(index, source)
    check_classes_are_known(chosen, classes)
    used = index["content_hash"].map(parts).isin(["train", "valid"])
    table = drop_other_classes(assign_parts(index, source), chosen, source)
    check_groups(table, source)
    table, report[DROPPED] = drop_across_parts(table, "content_hash")
    table = table.assign(split=[parts.get(content_hash, "test") for content_hash in table["content_hash"]])
    of_training = {*groups, *index.loc[used, "group"]} - {""}
    drop = (table["split"] == "test") & table["group"].isin(of_training)
    table, report[DROPPED_GROUPS] = table[~drop], {"test": int(drop.sum())}
    split = build_split(table, classes, report)
    if table.empty:
        raise ConfigError("data: has no image that can be measured; look at data.parts and at what was skipped")
    if not len(split.rows("test")):
        raise ConfigError(
            f"data: all of its images are among the {len(table):,} that the classifier was trained on or chosen by"
            + (f", or of their groups ({dropped:,})" if (dropped := report[DROPPED_GROUPS]["test"]) else "")
            + "; give images that its training did not use"
        )
    return split


def check_classes_are_known(available: Sequence[str], known: Sequence[str]) -> None:
    """Raise ConfigError, with both lists and the remedies, if a class of the data is none of the classifier's."""
    unknown = [name for name in available if name not in known]
    if not unknown:
        return
    shared = [name for name in available if name in known]
    renamed = ", ".join(f"{name}: {_suggest_class(name, known)}" for name in unknown)
    leave_out = f"measure the others alone with data.classes=[{', '.join(shared)}], or " if shared else ""
    raise ConfigError(
        f"data: the classifier does not know {', '.join(unknown)}; the data has {', '.join(available)}; the classifier "
        f"knows {', '.join(known)}; {leave_out}say which of its classes they are with data.rename='{{{renamed}}}'"
    )


def _suggest_class(name: str, known: Sequence[str]) -> str:
    """Return the known class of the most similar name, or CLASS if none is similar."""
    by_lower_name = {label.lower(): label for label in known}
    close = difflib.get_close_matches(name.lower(), by_lower_name, n=1, cutoff=0.5)
    return by_lower_name[close[0]] if close else "CLASS"
