"""Splits: which image is in which part, always the same for a seed, and no image in two parts."""

import hashlib
import json
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from fer_experiments.data.split import COLUMNS, Split, make_split
from fer_experiments.data.warn_once import forget_warnings
from fer_experiments.errors import ConfigError
from tests.conftest import source

PARTS = ("train", "valid", "test")


def index(counts: dict[str, dict[str, int]]) -> pd.DataFrame:
    """Return an ImageCache's index of different images. counts: {part: {class: images}}."""
    rows = [
        (f"{part}/{label}/{number:05d}", label, part, f"{part} {label} {number}", "", "")
        for part, classes in counts.items()
        for label, count in classes.items()
        for number in range(count)
    ]
    return pd.DataFrame(rows, columns=["path", "label", "part", "content_hash", "error", "group"])


def flat(**counts: int) -> pd.DataFrame:
    """Return the index of a source without parts, which is all train."""
    return index({"train": counts})


def split(table: pd.DataFrame, seed: int = 0, **keys) -> Split:
    return make_split(table, source("folder", root=".", **keys), seed)


def paths(result: Split, part: str) -> set[str]:
    return set(result.table.loc[result.table["split"] == part, "path"])


def counts(result: Split) -> list[dict[str, int]]:
    return [result.counts(part) for part in PARTS]


THREE = index({part: {"cat": 30, "dog": 50} for part in PARTS})
CARVED = flat(cat=100, dog=200)


# Parts


def test_parts_of_the_source_are_kept():
    result = split(THREE)
    assert counts(result) == [{"cat": 30, "dog": 50}] * 3
    for part in PARTS:
        assert all(path.startswith(part) for path in paths(result, part))


def test_missing_parts_are_carved_out_of_train_by_class():
    # test: 20% of each class; valid: 10% of what is left, but 20% or 20 images where 10% are fewer than 20
    assert counts(split(CARVED)) == [{"cat": 64, "dog": 140}, {"cat": 16, "dog": 20}, {"cat": 20, "dog": 40}]


@pytest.mark.parametrize(
    ("images", "valid"), [(1000, 100), (250, 25), (200, 20), (150, 20), (100, 20), (45, 9), (20, 4), (2, 1)]
)
def test_small_classes_get_up_to_twice_the_fraction_for_validation(images, valid):
    assert split(flat(cat=2000, dog=2000), counts={"cat": images, "dog": images}).counts("valid")["cat"] == valid


@pytest.mark.parametrize(
    ("available", "expected"),
    [
        (("train", "test"), [{"cat": 24, "dog": 40}, {"cat": 6, "dog": 10}, {"cat": 30, "dog": 50}]),
        (("train", "valid"), [{"cat": 24, "dog": 40}, {"cat": 30, "dog": 50}, {"cat": 6, "dog": 10}]),
    ],
)
def test_only_the_missing_part_is_carved(available, expected):
    assert counts(split(THREE[THREE["part"].isin(available)])) == expected


def test_the_sources_valid_part_can_be_our_test_part():
    result = split(THREE[THREE["part"] != "test"], parts={"test": "valid"})
    assert counts(result) == [{"cat": 24, "dog": 40}, {"cat": 6, "dog": 10}, {"cat": 30, "dog": 50}]
    assert all(path.startswith("valid") for path in paths(result, "test"))


def test_a_part_of_the_source_that_is_replaced_is_used_nowhere():
    result = split(THREE, parts={"test": "valid"})
    assert not any(path.startswith("test") for path in result.table["path"])


def test_valid_and_test_can_change_places():
    result = split(THREE, parts={"test": "valid", "valid": "test"})
    assert all(path.startswith("valid") for path in paths(result, "test"))
    assert all(path.startswith("test") for path in paths(result, "valid"))


def test_a_part_set_to_null_is_carved_out_of_train():
    result = split(THREE, parts={"valid": None})
    assert all(path.startswith("train") for path in paths(result, "valid"))
    assert counts(result)[1] == {"cat": 6, "dog": 10}


@pytest.mark.parametrize(
    ("available", "parts", "message"),
    [
        (("train",), {"test": "valid"}, r"data\.parts=\{test: valid\}: the source has no part valid; it has train"),
        (PARTS, {"test": "valid", "valid": "valid"}, r"data\.parts=.*: one part of the source can't be two parts here"),
        (PARTS, {"train": None}, r"data\.parts=.*: leaves no training images; name a part for train"),
        (PARTS, {"test": "train"}, r"data\.parts=.*: leaves no training images; name a part for train"),
        (("valid", "test"), None, r"data\.parts=\{\}: leaves no training images; name a part for train"),
    ],
)
def test_parts_that_do_not_fit_the_source_are_refused(available, parts, message):
    with pytest.raises(ConfigError, match=message):
        split(THREE[THREE["part"].isin(available)], parts=parts)


def test_a_source_with_only_a_test_part_can_be_trained_on():
    result = split(THREE[THREE["part"] == "test"], parts={"train": "test"})
    assert counts(result) == [{"cat": 19, "dog": 32}, {"cat": 5, "dog": 8}, {"cat": 6, "dog": 10}]


# Seeds


def test_a_seed_always_gives_the_same_split():
    first, second = split(CARVED, seed=3), split(CARVED.copy(), seed=3)
    assert first.csv == second.csv
    assert first.hash == second.hash


@pytest.mark.parametrize("keys", [{}, {"counts": {"cat": 50, "dog": 60}}, {"imbalance": 5.0, "minority": "cat"}])
def test_another_seed_draws_other_images_but_the_same_test_part(keys):
    splits = [split(CARVED, seed=seed, **keys) for seed in range(4)]
    assert len({result.hash for result in splits}) == 4
    for part in ("train", "valid"):
        assert len({frozenset(paths(result, part)) for result in splits}) == 4
    assert len({frozenset(paths(result, "test")) for result in splits}) == 1


def test_the_test_part_does_not_change_with_the_training_keys():
    expected = paths(split(CARVED), "test")
    for keys in ({"counts": {"cat": 5, "dog": 9}}, {"imbalance": 9.0}, {"valid_fraction": 0.3}):
        assert paths(split(CARVED, **keys), "test") == expected


def test_test_seed_carves_another_test_part():
    assert paths(split(CARVED), "test") != paths(split(CARVED, test_seed=1), "test")


# Counts and imbalance


def test_counts_draw_training_images_and_validation_images_beside_them():
    result = split(CARVED, counts={"cat": 50, "dog": 60})
    assert counts(result) == [{"cat": 50, "dog": 60}, {"cat": 10, "dog": 12}, {"cat": 20, "dog": 40}]


def test_the_counts_of_the_paper_can_be_drawn():
    table = index({"train": {"angry": 3995, "happy": 7215}, "test": {"angry": 467, "happy": 895}})
    result = split(table, counts={"angry": 820, "happy": 900})
    assert counts(result) == [{"angry": 820, "happy": 900}, {"angry": 82, "happy": 90}, {"angry": 467, "happy": 895}]


def test_counts_choose_the_classes():
    result = split(flat(a=50, b=50, c=50), counts={"a": 10, "c": 10})
    assert result.classes == ("a", "c")
    assert set(result.table["label"]) == {"a", "c"}


def test_classes_choose_the_classes_in_sorted_order():
    assert split(flat(a=50, b=50, c=50), classes=["c", "a"]).classes == ("a", "c")
    assert split(flat(c=50, a=50, b=50)).classes == ("a", "b", "c")


def test_a_class_without_a_count_keeps_all_its_images():
    result = split(flat(a=50, b=50), classes=["a", "b"], counts={"a": 10})
    assert result.counts("train") == {"a": 10, "b": 32}


def test_counts_as_large_as_the_classes_draw_all_images():
    result = split(THREE, counts={"cat": 30, "dog": 50})
    assert result.counts("train") == {"cat": 30, "dog": 50}


@pytest.mark.parametrize(
    ("table", "requested", "message"),
    [
        (THREE, {"cat": 31, "dog": 9}, r"data\.counts=\{cat: 31\}: cat has 90 images, of which 30 are for valid"),
        (
            CARVED,
            {"cat": 80, "dog": 9},
            r"data\.counts=\{cat: 80\}: cat has 100 images, of which 13 are for validation and 20 for test, so that at "
            r"most 67 can be for training; give 'data\.counts=\{cat: 67, dog: 9\}' or fewer$",
        ),
        (
            flat(cat=1, dog=50),
            {"cat": 1, "dog": 9},
            r"cat has 1 image, of which 0 are for validation and 1 for test, so that at most 0 can be for training; "
            r"add images of cat, or leave it out$",
        ),
    ],
)
def test_counts_larger_than_the_classes_are_refused_with_their_sizes(table, requested, message):
    with pytest.raises(ConfigError, match=message):
        split(table, counts=requested)


@pytest.mark.parametrize("table", [THREE, CARVED, flat(cat=46, dog=90)])
def test_the_largest_count_that_a_refusal_names_can_be_drawn(table):
    with pytest.raises(ConfigError) as error:
        split(table, counts={"cat": 1000, "dog": 9})
    (largest,) = re.findall(r"at most (\d+) can be for training", str(error.value))
    assert split(table, counts={"cat": int(largest), "dog": 9}).counts("train")["cat"] == int(largest)
    with pytest.raises(ConfigError):
        split(table, counts={"cat": int(largest) + 1, "dog": 9})


@pytest.mark.parametrize(
    "table",
    [THREE, CARVED, flat(cat=46, dog=90), index({"train": {"cat": 90, "dog": 90}, "valid": {"cat": 3, "dog": 3}})],
)
def test_smaller_counts_are_contained_in_larger_ones(table):
    drawn = [paths(split(table, counts={"cat": n, "dog": 20}), "train") for n in (1, 2, 10, 29, 30)]
    for smaller, larger in pairwise(drawn):
        assert smaller < larger
    dogs = [{path for path in train if "dog" in path} for train in drawn]
    assert dogs.count(dogs[0]) == len(dogs)  # the class whose count does not change


def test_the_first_images_of_a_part_are_of_all_classes():
    table = flat(cat=100, dog=200).assign(
        content_hash=lambda t: t["path"].map(lambda p: hashlib.sha256(p.encode()).hexdigest())
    )
    assert set(split(table).labels("test")[:10]) == {"cat", "dog"}


@pytest.mark.parametrize(
    ("available", "imbalance", "minority", "train"),
    [
        ({"cat": 900, "dog": 900}, 10.0, "cat", {"cat": 90, "dog": 900}),
        ({"cat": 900, "dog": 900}, 10.0, "dog", {"cat": 900, "dog": 90}),
        ({"cat": 900, "dog": 900}, 10.0, None, {"cat": 90, "dog": 900}),  # the first by name among equals
        ({"cat": 900, "dog": 820}, 10.0, None, {"cat": 900, "dog": 90}),  # the smallest
        ({"cat": 900, "dog": 820}, 10.0, "cat", {"cat": 82, "dog": 820}),
        ({"cat": 900, "dog": 900}, 1.0, "cat", {"cat": 900, "dog": 900}),
        ({"cat": 900, "dog": 900}, 7.0, "cat", {"cat": 129, "dog": 900}),  # 128.57 rounded
        ({"cat": 900, "dog": 900}, 1e6, "cat", {"cat": 1, "dog": 900}),
        ({"ant": 500, "cat": 900, "dog": 700}, 10.0, "ant", {"ant": 90, "cat": 900, "dog": 700}),
    ],
)
def test_imbalance_makes_the_minority_smaller_by_its_ratio(available, imbalance, minority, train):
    table = index({"train": available, "valid": dict.fromkeys(available, 9), "test": dict.fromkeys(available, 9)})
    result = split(table, imbalance=imbalance, minority=minority)
    assert counts(result) == [train, dict.fromkeys(available, 9), dict.fromkeys(available, 9)]


def test_imbalance_applies_to_the_counts():
    result = split(flat(cat=2000, dog=2000), counts={"cat": 900, "dog": 900}, imbalance=10.0, minority="dog")
    assert counts(result) == [{"cat": 900, "dog": 90}, {"cat": 90, "dog": 90}, {"cat": 400, "dog": 400}]


def test_more_imbalance_draws_from_less_and_leaves_validation_as_it_is():
    splits = [split(CARVED, imbalance=ratio, minority="cat") for ratio in (2.5, 4.0, 40.0)]
    drawn = [paths(result, "train") for result in splits]
    assert drawn[0] > drawn[1] > drawn[2]
    assert len({frozenset(paths(result, "valid")) for result in splits}) == 1


def test_an_imbalance_that_the_data_exceeds_already_is_refused_with_both_numbers():
    message = (
        r"data\.imbalance=1\.5: needs 33 images of cat beside 50 of dog \(data\.profile=minority\), but there are 30; "
        r"give data\.imbalance=1\.67 or more, or at most 45 of every class \(data\.counts\)$"
    )
    with pytest.raises(ConfigError, match=message):
        split(THREE, imbalance=1.5)
    assert split(THREE, imbalance=1.67).counts("train") == {"cat": 30, "dog": 50}
    assert split(THREE, imbalance=1.5, counts={"cat": 30, "dog": 45}).counts("train") == {"cat": 30, "dog": 45}


# Test counts


@pytest.mark.parametrize("table", [THREE, CARVED])
def test_test_counts_narrow_the_test_part_and_no_other(table):
    full, narrowed = split(table), split(table, test_counts={"cat": 15, "dog": 7})
    assert narrowed.counts("test") == {"cat": 15, "dog": 7}
    assert paths(narrowed, "test") < paths(full, "test")
    for part in ("train", "valid"):
        assert paths(narrowed, part) == paths(full, part)


def test_test_counts_are_drawn_by_test_seed_alone():
    drawn = {
        (seed, test_seed): paths(split(THREE, seed, test_seed=test_seed, test_counts={"cat": 9, "dog": 9}), "test")
        for seed in (0, 1)
        for test_seed in (0, 1)
    }
    assert drawn[0, 0] == drawn[1, 0] != drawn[0, 1] == drawn[1, 1]


def test_smaller_test_counts_are_contained_in_larger_ones():
    drawn = [paths(split(THREE, test_counts={"cat": n, "dog": 20}), "test") for n in (1, 2, 10, 29, 30)]
    for smaller, larger in pairwise(drawn):
        assert smaller < larger


def test_test_counts_as_large_as_the_test_part_change_nothing():
    assert split(THREE, test_counts={"cat": 30, "dog": 50}).hash == split(THREE).hash


@pytest.mark.parametrize(
    ("requested", "message"),
    [
        ({"cat": 3, "dog": 3, "cow": 1}, r"data\.test_counts: no class cow; give one count for each of cat, dog, or"),
        ({"cat": 3}, r"data\.test_counts: no count for dog; give one count for each of cat, dog, or .*=null"),
        (
            {"cat": 31, "dog": 3},
            r"data\.test_counts=\{cat: 31\}: there are 30 test images of cat; give fewer, .*data\.test_fraction",
        ),
    ],
)
def test_test_counts_that_cannot_be_drawn_are_refused(requested, message):
    with pytest.raises(ConfigError, match=message):
        split(THREE, test_counts=requested)


# Classes


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"classes": ["cat", "cow"]}, r"data\.classes: no class cow; the data has cat, dog"),
        ({"counts": {"cat": 2, "cow": 1}}, r"data\.counts: no class cow; the data has cat, dog"),
        (
            {"classes": ["cat"], "counts": {"cat": 2, "dog": 1}},
            r"data\.counts: dog is not in data\.classes=\['cat'\]; give counts for those, or data\.counts=null",
        ),
        ({"classes": ["cat"]}, r"data: one class only \(cat\); a classifier needs two or more"),
        ({"counts": {"dog": 5}}, r"data: one class only \(dog\)"),
        ({"minority": "cow"}, r"data\.minority=cow: is not one of cat, dog"),
    ],
)
def test_unknown_or_contradictory_classes_are_refused_by_key(keys, message):
    with pytest.raises(ConfigError, match=message):
        split(THREE, **keys)


def test_a_source_of_one_class_is_refused():
    with pytest.raises(ConfigError, match=r"data: one class only \(cat\); a classifier needs two or more"):
        split(flat(cat=50))


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_class_that_is_missing_from_a_part_is_named_with_the_remedy(part):
    table = THREE[(THREE["part"] != part) | (THREE["label"] != "dog")]
    remedy = rf"carve the part out of train with data\.parts=\{{{part}: null\}}$"
    with pytest.raises(
        ConfigError, match=rf"data: the class dog \(\d+ in all\) has no images for {part}; add some, .*{remedy}"
    ):
        split(table)
    assert split(table, parts={part: None}).counts(part)["dog"] > 0


@pytest.mark.parametrize("keys", [{}, {"imbalance": 2.0}])
@pytest.mark.parametrize("table", [flat(cat=1, dog=50), THREE[(THREE["part"] != "train") | (THREE["label"] != "cat")]])
def test_a_class_without_training_images_is_named_and_carving_is_not_advised(table, keys):
    with pytest.raises(
        ConfigError, match=r"the class cat \((1|60) in all\) has no images for train; .* with data\.classes$"
    ):
        split(table, **keys)


def test_a_class_of_copies_of_one_image_is_named():
    table = flat(cat=20, dog=50)
    table.loc[table["label"] == "cat", "content_hash"] = "the same"
    with pytest.raises(
        ConfigError, match=r"the class cat \(20 in all\) has no images for valid; .* with data\.classes$"
    ):
        split(table)


def test_three_images_of_a_class_are_enough():
    assert counts(split(flat(cat=3, dog=30))) == [{"cat": 1, "dog": 19}, {"cat": 1, "dog": 5}, {"cat": 1, "dog": 6}]


@pytest.mark.parametrize("images", [3, 24, 30])
def test_classes_with_few_images_are_named_with_their_numbers(caplog, images):
    forget_warnings()
    for _ in range(2):
        split(flat(cat=images, dog=200, owl=100))
    numbers = {3: "train 1, valid 1, test 1", 24: "train 15, valid 4, test 5"}.get(images)
    hopeless = ", and with one test image of cat no number of seeds leads to a verdict" if images == 3 else ""
    assert [record.message for record in caplog.records] == ([] if numbers is None else [
        f"data: classes with under 5 images in a part (cat: {numbers}): their recall is measured on so few images that "
        f"it says little{hopeless}; add images, or choose other classes with data.classes"
    ])  # fmt: skip


def test_data_without_readable_images_is_a_clear_error():
    table = CARVED.assign(error="broken")
    with pytest.raises(ConfigError, match=r"the class cat \(0 in all\), dog \(0 in all\) has no images for train"):
        split(table, skip_corrupt=True)


# Duplicates


def random_duplicates(seed: int, parts=("train",), classes=3) -> pd.DataFrame:
    """Return the index of 300 images: many are pixel-identical, some of them with different labels and parts."""
    rng = np.random.default_rng(seed)
    number = rng.integers(0, 200, 300)
    label = np.where(rng.random(300) < 0.9, number % classes, rng.integers(0, classes, 300))
    return pd.DataFrame(
        {
            "path": [f"{row:04d}" for row in range(300)],
            "label": [f"class {place}" for place in label],
            "part": rng.choice(parts, 300),
            "content_hash": [f"hash {value}" for value in number],
            "error": "",
            "group": "",
        }
    )


@pytest.mark.parametrize("parts", [("train",), ("train", "test"), ("train", "valid"), PARTS])
@pytest.mark.parametrize("seed", range(6))
def test_exact_duplicates_never_straddle_a_split(parts, seed):
    table = random_duplicates(seed, parts)
    result = split(table, seed=seed)
    assert (result.table.groupby("content_hash")["split"].nunique() == 1).all()
    assert result.table["path"].is_unique
    for part in PARTS:
        assert set(result.labels(part)) == set(result.classes)


@pytest.mark.parametrize("seed", range(3))
def test_the_more_protected_part_keeps_a_duplicate(seed):
    table = random_duplicates(seed, PARTS)
    result = split(table)
    assert paths(result, "test") == set(table.loc[table["part"] == "test", "path"])
    in_test = set(table.loc[table["part"] == "test", "content_hash"])
    valid = table[(table["part"] == "valid") & ~table["content_hash"].isin(in_test)]
    assert paths(result, "valid") == set(valid["path"])
    lost = {part: int((table["part"] == part).sum()) - len(paths(result, part)) for part in ("train", "valid")}
    assert result.report["dropped_as_duplicates_of_a_more_protected_part"] == lost


@pytest.mark.parametrize("parts", [("train",), PARTS])
@pytest.mark.parametrize("seed", range(3))
def test_duplicates_of_test_images_that_are_not_drawn_are_in_no_part(seed, parts):
    table = random_duplicates(seed, parts)
    full, narrowed = split(table), split(table, test_counts={f"class {place}": 5 for place in range(3)})
    assert set(narrowed.counts("test").values()) == {5}
    full_test, narrowed_test = (
        set(result.table.loc[result.table["split"] == "test", "content_hash"]) for result in (full, narrowed)
    )
    rest = narrowed.table.loc[narrowed.table["split"] != "test", "content_hash"]
    assert not rest.isin(full_test).any()
    assert narrowed_test < full_test


def test_carving_loses_no_image():
    table = random_duplicates(0)
    assert set(split(table).table["path"]) == set(table["path"])


def test_duplicates_in_a_class_that_is_not_used_do_not_matter():
    table = index({"train": {"a": 20, "b": 20}, "test": {"a": 5, "b": 5, "c": 5}})
    table.loc[table["label"] == "c", "content_hash"] = "train a 0"
    assert len(split(table, classes=["a", "b"]).table) == 50


def test_the_report_counts_duplicate_groups_of_the_source(caplog):
    table = index({"train": {"a": 20, "b": 20}, "test": {"a": 5, "b": 5}})
    table = table.set_index("path")
    for group, members in enumerate(
        [
            ["train/a/00000", "train/a/00001", "train/a/00002"],  # in one part and class
            ["train/a/00003", "test/a/00000"],  # across parts
            ["train/a/00004", "train/b/00000"],  # of two labels
            ["train/b/00001", "test/a/00001"],  # both
        ]
    ):
        table.loc[members, "content_hash"] = f"group {group}"
    forget_warnings()
    report = split(table.reset_index()).report
    assert "data: 2 images lie in several classes with the same pixels" in caplog.text
    assert report["files"] == 50
    assert report["duplicate_groups"] == 4
    assert report["duplicate_files"] == 9
    assert report["cross_split_groups"] == 2
    assert report["label_conflict_groups"] == 2
    assert report["dropped_as_duplicates_of_a_more_protected_part"] == {"train": 2, "valid": 0}
    assert report["corrupt"] == []
    assert json.loads(json.dumps(report)) == report


def test_a_conflict_with_a_class_that_is_not_chosen_is_not_warned_of(caplog):
    forget_warnings()
    third = CARVED[CARVED["label"] == "cat"].assign(label="cow", path=lambda table: "cow" + table["path"])
    split(pd.concat([CARVED, third], ignore_index=True), classes=["cat", "dog"])
    assert "with the same pixels" not in caplog.text


def test_corrupt_images_do_not_count_as_duplicates_and_are_counted(caplog):
    forget_warnings()
    table = CARVED.copy()
    table.loc[:9, ["content_hash", "error"]] = ["", "broken"]
    report = split(table, skip_corrupt=True).report
    assert f"data.skip_corrupt=true: leaves out 10 of {len(table)} images (10 of cat)" in caplog.text
    assert report["duplicate_groups"] == 0
    assert len(report["corrupt"]) == 10
    assert report["corrupt"][0] == {"path": "train/cat/00000", "error": "broken"}


def test_the_report_counts_the_images_of_every_part_and_class():
    result = split(CARVED)
    assert result.report["images"] == {part: result.counts(part) for part in PARTS}


# Files


def test_split_csv_has_a_row_for_every_image_and_its_hash_names_the_split(tmp_path):
    result = split(CARVED)
    result.save(tmp_path / "split.csv")
    written = (tmp_path / "split.csv").read_bytes()
    table = pd.read_csv(tmp_path / "split.csv")
    assert list(table.columns) == COLUMNS[:-1] == ["path", "label", "split", "content_hash"]
    assert len(table) == 300
    assert hashlib.sha256(written).hexdigest().startswith(result.hash)
    assert b"\r" not in written


@pytest.mark.parametrize("change", ["content", "label", "part", "path"])
def test_every_change_of_the_data_changes_the_hash(change):
    table = THREE.copy()
    first = table.index[0]
    if change == "content":
        table.loc[first, "content_hash"] = "another"
    elif change == "label":
        table.loc[first, "label"] = "dog"
    elif change == "part":
        table.loc[first, "part"] = "valid"
    else:
        table.loc[first, "path"] = "train/cat/renamed"
    assert split(table).hash != split(THREE).hash


def test_rows_and_labels_belong_together():
    result = split(CARVED)
    for part in PARTS:
        rows = result.rows(part)
        assert list(CARVED.loc[rows, "label"]) == list(result.labels(part))
        assert set(CARVED.loc[rows, "path"]) == paths(result, part)
    assert len({row for part in PARTS for row in result.rows(part)}) == 300
