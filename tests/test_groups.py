"""Groups: the images of one person lie in one part, whatever is carved, drawn, added or measured."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from fer_experiments.audit.held_out import choose_held_out_images
from fer_experiments.data.duplicates import find_test_clusters
from fer_experiments.data.evaluation_split import split_for_evaluation
from fer_experiments.data.groups import describe_groups, join_groups
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.split import Split, make_split
from fer_experiments.data.stratified import draw_nearly_per_class
from fer_experiments.data.unused import draw_unused_images, list_unused_images
from fer_experiments.data.warn_once import forget_warnings
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.report.leakage import _read_csv, find_leaks
from fer_experiments.runs.data_files import write_data_files
from fer_experiments.runs.training_files import find_groups, read_test_clusters
from fer_experiments.train.plan.plan import Plan
from tests.conftest import source, write_images

PATTERN = r"(person\d+)_"
PARTS = ("train", "valid", "test")


def people(seed: int = 0, persons: int = 60, parts: tuple[str, ...] = ("train",)) -> pd.DataFrame:
    """Return the index of images of persons, who have 1 to 30 each, of one class or of both; few lie in two parts."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(persons):
        share, home = rng.choice([0.0, 0.3, 1.0]), rng.choice(parts)
        for number in range(rng.integers(1, 31)):
            label = "ill" if rng.random() < share else "healthy"
            name = f"person{person:03d}"
            part = rng.choice(parts) if rng.random() < 0.02 else home
            rows.append((f"{part}/{label}/{name}_{number}", label, part, f"{name} {number}", "", name))
    return pd.DataFrame(rows, columns=["path", "label", "part", "content_hash", "error", "group"])


def split(table: pd.DataFrame, seed: int = 0, **keys) -> Split:
    return make_split(table, source("folder", root=".", group_pattern=PATTERN, **keys), seed)


def groups_of(result: Split, part: str) -> set[str]:
    return set(result.table.loc[result.table["split"] == part, "group"])


@pytest.mark.parametrize("parts", [("train",), ("train", "test"), PARTS])
@pytest.mark.parametrize("keys", [{}, {"counts": {"ill": 60, "healthy": 90}}, {"imbalance": 20}])
@pytest.mark.parametrize("seed", range(4))
def test_no_person_is_in_two_parts(parts, keys, seed):
    result = split(people(seed, 100, parts), seed, **keys)
    assert (result.table.groupby("group")["split"].nunique() == 1).all()
    for part in PARTS:
        assert set(result.labels(part)) == {"ill", "healthy"}


@pytest.mark.parametrize("seed", range(6))
def test_carved_parts_have_about_their_share_of_each_class(seed):
    table = people(seed, 200)
    result = split(table, seed)
    for name, total in table["label"].value_counts().items():
        assert result.counts("test")[name] == pytest.approx(0.2 * total, rel=0.1)
        assert result.counts("valid")[name] == pytest.approx(0.1 * 0.8 * total, rel=0.25)


def test_counts_are_exact_and_drawn_from_many_persons():
    result = split(people(), counts={"ill": 40, "healthy": 100})
    assert result.counts("train") == {"healthy": 100, "ill": 40}
    ill = result.table[(result.table["split"] == "train") & (result.table["label"] == "ill")]
    assert ill["group"].value_counts().max() <= 10  # of up to 30 that a person has


def test_smaller_counts_and_more_imbalance_leave_validation_as_it_is():
    few, many = (split(people(), counts={"ill": 80, "healthy": 80}, imbalance=ratio) for ratio in (8, 2))
    assert set(few.rows("valid")) == set(many.rows("valid"))
    assert set(few.rows("train")) < set(many.rows("train"))


def test_a_count_beyond_what_validation_leaves_is_refused_with_the_largest_that_can_be_drawn():
    with pytest.raises(ConfigError, match=r"data.counts=\{ill: 5000\}: .* so that at most (\d+) can be for") as error:
        split(people(), counts={"ill": 5000, "healthy": 90})
    largest = int(str(error.value).split("at most ")[1].split()[0])
    with pytest.raises(ConfigError):
        split(people(), counts={"ill": 5000 - 1, "healthy": 90})
    assert 0 < largest < 5000


def test_validation_leaves_the_counts_with_every_seed():
    table = people(persons=40)
    full = split(table)
    counts = {name: int(0.85 * (full.counts("train")[name] + full.counts("valid")[name])) for name in full.classes}
    for seed in range(20):
        assert split(table, seed, counts=counts).counts("train") == counts


def test_test_counts_are_drawn_from_many_persons_and_the_others_images_stay_unused():
    full, narrowed = split(people()), split(people(), test_counts={"ill": 20, "healthy": 20})
    assert narrowed.counts("test") == {"healthy": 20, "ill": 20}
    for part in ("train", "valid"):
        assert set(narrowed.rows(part)) == set(full.rows(part))
    assert len(groups_of(narrowed, "test")) > 5


def test_equal_images_of_two_persons_join_them():
    table = people()
    first, second = "person000", "person001"
    table.loc[table["group"] == second, "content_hash"] = table.loc[table["group"] == first, "content_hash"].iloc[0]
    table = table.assign(person=table["group"], group=join_groups(table))
    for seed in range(8):
        result = split(table, seed, test_seed=seed)
        of_both = table.index[table["person"].isin([first, second])]
        assert result.table["split"].reindex(of_both).dropna().nunique() == 1


def test_groups_are_joined_along_a_chain_of_equal_images_and_unreadable_ones_join_none():
    index = pd.DataFrame(
        {
            "path": list("abcdefgh"),
            "content_hash": ["1", "1", "2", "2", "3", "4", "", ""],
            "group": ["d", "c", "c", "b", "b", "e", "e", "f"],
        }
    )
    assert join_groups(index).tolist() == ["b", "b", "b", "b", "b", "e", "e", "f"]
    assert join_groups(index.assign(group="")).tolist() == [""] * 8


def test_equal_images_of_two_persons_join_them_across_the_sources_parts():
    table = people(parts=("train", "test"))
    train, test = (table.index[table["part"] == part][0] for part in ("train", "test"))
    table.loc[train, "content_hash"] = table.loc[test, "content_hash"]
    persons = table.loc[[train, test], "group"]
    joined = table.assign(group=join_groups(table))
    result = split(joined)
    of_both = table.index[table["group"].isin(persons)]
    assert set(result.table["split"].reindex(of_both).dropna()) == {"test"}


def test_a_person_in_two_parts_of_the_source_stays_in_the_more_protected_one(caplog):
    forget_warnings()
    table = people(parts=("train", "test"))
    result = split(table)
    tested = set(table.loc[table["part"] == "test", "group"])
    lost = int(((table["part"] == "train") & table["group"].isin(tested)).sum())
    assert groups_of(result, "test") == tested
    assert result.report["dropped_as_of_a_group_in_another_part"] == {"train": lost, "valid": 0}
    assert f"data: groups lie in several parts of the source: {lost} images of its part train are left" in caplog.text


def test_every_image_needs_a_group():
    table = people()
    table.loc[table.index[:2], "group"] = ""
    message = rf"^data.group_pattern=.*: 2 of {len(table):,} images have no group, such as {table['path'][0]}, "
    with pytest.raises(ConfigError, match=message):
        split(table)


def test_groups_of_one_image_each_are_refused():
    table = people()
    with pytest.raises(
        ConfigError,
        match=r"each of the 1,021 images is a group of its own, such as .* or give data\.group_pattern=null",
    ):
        split(table.assign(group=table["path"]))


def test_a_class_of_two_persons_is_refused_with_their_number():
    table = people()
    kept = table[(table["label"] == "healthy") | table["group"].isin(table.loc[table["label"] == "ill", "group"][:1])]
    with pytest.raises(
        ConfigError,
        match=r"ill \(\d+ in all, of 1 group\) has .*each part needs a group of its own of every",
    ):
        split(kept)


def test_classes_of_few_persons_are_named(caplog):
    forget_warnings()
    split(people(persons=12))
    assert "data: classes with under 5 groups in a part (" in caplog.text
    assert "with one test group of healthy, ill no number of seeds leads to a verdict; add groups" in caplog.text


def test_split_csv_has_the_groups_and_the_report_counts_them(tmp_path):
    result = split(people())
    result.save(tmp_path / "split.csv")
    table = pd.read_csv(tmp_path / "split.csv")
    assert list(table.columns) == ["path", "label", "split", "content_hash", "group"]
    for part in PARTS:
        for name in result.classes:
            of_class = table[(table["split"] == part) & (table["label"] == name)]
            assert result.report["groups"][part][name] == of_class["group"].nunique()


def test_the_plan_has_the_groups_in_brackets():
    result = split(people())
    lines = [*Plan({part: result.counts(part) for part in PARTS}, [], groups=result.report["groups"]).outline()]
    assert lines[0].endswith("(in brackets: groups)")
    table, images = result.table, result.table["group"].value_counts()
    described = describe_groups(table, source("folder", root=".", group_pattern=PATTERN))
    assert described.startswith(f"{table['group'].nunique()} groups by data.group_pattern={PATTERN}: ")
    assert described.endswith(f" to {images.max()} images each, most of {images.index[0]}")
    ill = next(line for line in lines if line.startswith("ill"))
    assert f"{result.counts('test')['ill']} ({result.report['groups']['test']['ill']})" in ill


@pytest.mark.parametrize(
    ("name", "is_named"),
    [
        ("person{person:03d}_{number}.png", True),
        ("{person:08d}_{number:03d}.png", True),
        ("person{person}_bacteria_{number}.jpeg", True),
        ("IMG_{image:05d}.jpg", False),
        ("{image:05d}.png", False),
        ("cat.{image}.jpg", False),
        ("person{person}/IMG_{number}.jpg", True),
        ("video{person}_frame{number}.png", True),
        ("P{person:03d} ({number}).png", True),
        ("P{person:03d}s{number}.png", True),
        ("a ({image}).png", False),
        ("{place}/{image}.png", False),
    ],
)
def test_names_that_seem_to_number_images_of_persons_are_pointed_out(caplog, name, is_named):
    forget_warnings()
    numbers = range(120)
    labels = ["a" if n % 8 < 4 else "b" for n in numbers]
    paths = [
        f"{label}/{name.format(person=n // 4, number=n % 4, image=n, place='x')}"
        for n, label in zip(numbers, labels, strict=True)
    ]
    table = pd.DataFrame({"path": paths, "label": labels, "part": "train"})
    table = table.assign(content_hash=[str(n) for n in numbers], error="", group="")
    make_split(table, source("folder", root="."), 0)
    assert ("if the images of such a group are of one person or film" in caplog.text) == is_named
    if is_named:
        assert "data: groups of files " in caplog.text
        pattern = caplog.text.split("with 'data.group_pattern=")[1].split("'\n")[0].strip("\"'")
        groups = source("folder", root=".", group_pattern=pattern).groups(paths)
        assert len(set(groups)) == 30


# Units of many images


def test_large_units_come_as_near_as_they_can_and_every_class_gets_one():
    table = pd.DataFrame({"label": ["a"] * 90 + ["b"] * 60 + ["c"] * 50})
    units = [list(range(start, start + 30)) for start in (0, 30, 60, 90, 120)] + [list(range(150, 200))]
    drawn = draw_nearly_per_class(table, {"a": 40, "b": 14, "c": 10}, units)
    counts = Counter(table["label"][drawn])
    assert counts == {"a": 30, "b": 30, "c": 50}  # 60 of a is no nearer to 40 than 30; b and c get their smallest unit


def test_units_of_one_image_are_drawn_to_the_count():
    table = pd.DataFrame({"label": ["a", "b"] * 50})
    drawn = draw_nearly_per_class(table, {"a": 7, "b": 20}, [[place] for place in range(100)])
    assert Counter(table["label"][drawn]) == {"a": 7, "b": 20}


# On files


@pytest.fixture
def folder(tmp_path):
    """pets/{cat,dog}/person*_*.png: 30 persons with 4 cats and 4 dogs each."""
    for number, label in enumerate(("cat", "dog")):
        place = tmp_path / "pets" / label
        write_images(place, 120, seed=number)
        for image, path in enumerate(sorted(place.iterdir())):
            path.rename(place / f"person{image // 4:02d}_{path.name}")
    return tmp_path / "pets"


def prepare(folder, **keys) -> PreparedData:
    keys = {"root": folder, "cache_dir": folder.parent, "group_pattern": PATTERN} | keys
    return PreparedData.prepare(source("folder", **keys), 0)


@pytest.mark.parametrize("pattern", [r"(person\d+)_", r"person\d+", r"/(.*)_"])
def test_the_pattern_names_the_group_by_its_first_parentheses_or_as_a_whole(folder, pattern):
    data = prepare(folder, group_pattern=pattern)
    assert set(data.split.table["group"]) == {f"person{number:02d}" for number in range(30)}


def test_another_pattern_reads_the_same_cache(folder):
    assert prepare(folder).cache.folder == prepare(folder, group_pattern=None).cache.folder


def test_without_a_pattern_split_csv_and_its_hash_are_as_they_were(folder):
    data = prepare(folder, group_pattern=None)
    assert data.split.csv.startswith("path,label,split,content_hash\n")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"group_pattern": "(person"}, r"^data.group_pattern='\(person': is not a regular expression: missing \)"),
        ({"group_pattern": "patient"}, r"^data.group_pattern=patient: 240 of 240 images have no group, such as cat/p"),
        ({"group_pattern": ".*"}, r"^data.group_pattern=\.\*: each of the 240 images is a group of its own"),
    ],
)
def test_patterns_that_name_no_groups_are_refused(folder, keys, message):
    with pytest.raises(ConfigError, match=message):
        prepare(folder, **keys)


def test_a_table_names_groups_by_a_column(folder):
    files = sorted(folder.glob("*/*.png"))
    rows = [f"{file.relative_to(folder)},{file.parent.name},{file.name[:8]}" for file in files]
    (folder / "list.csv").write_text("\n".join(["path,label,person", *rows]) + "\n")
    keys = {"table": folder / "list.csv", "cache_dir": folder.parent}
    by_column = PreparedData.prepare(source("table", group_column="person", **keys), 0)
    by_pattern = PreparedData.prepare(source("table", group_pattern=PATTERN, **keys), 0)
    assert by_column.split.hash == by_pattern.split.hash == prepare(folder).split.hash
    with pytest.raises(
        ConfigError, match=r"^data.group_column=patient: .* has no such column; it has path, label, per"
    ):
        PreparedData.prepare(source("table", group_column="patient", **keys), 0)
    with pytest.raises(ConfigError, match=r"^data: group_column=person: data.group_pattern=x names groups as well"):
        source("table", group_column="person", group_pattern="x", **keys)


def test_unused_images_are_of_no_person_who_is_measured(folder):
    data = prepare(folder, counts={"cat": 20, "dog": 20})
    measured = groups_of(data.split, "valid") | groups_of(data.split, "test")
    unused = list_unused_images(data)
    assert len(unused)
    assert not set(unused["group"]) & measured
    assert not set(unused.index) & set(data.split.table.index)
    rows = draw_unused_images(data, {"cat": 10, "dog": 10}, seed=0)
    assert not set(data.cache.index.loc[rows, "group"]) & measured


def test_images_of_trained_persons_are_not_held_out(folder):
    data = prepare(folder, counts={"cat": 20, "dog": 20})
    held_out = choose_held_out_images(data, "cat")
    assert not set(held_out.table["group"]) & groups_of(data.split, "train")


def test_the_test_images_of_a_person_are_one_cluster(folder, tmp_path):
    data = prepare(folder)
    clusters = find_test_clusters(data.cache.images, data.split)
    test = data.split.table[data.split.table["split"] == "test"]
    numbers = clusters.set_index("content_hash")["cluster"]
    assert set(numbers.index) == set(test["content_hash"])
    assert numbers.nunique() == test["group"].nunique()
    assert (test.assign(cluster=test["content_hash"].map(numbers)).groupby("group")["cluster"].nunique() == 1).all()
    write_data_files(tmp_path / "run", data, {})
    read = read_test_clusters(tmp_path / "run", test["content_hash"].to_numpy())
    assert len(np.unique(read)) == test["group"].nunique()


def test_without_groups_no_test_image_is_in_a_cluster(folder):
    data = prepare(folder, group_pattern=None)
    assert find_test_clusters(data.cache.images, data.split).empty


def test_a_classifier_is_not_measured_on_persons_of_its_training(folder):
    data = prepare(folder, counts={"cat": 20, "dog": 20})
    parts = dict(zip(data.split.table["content_hash"], data.split.table["split"], strict=True))
    measured = split_for_evaluation(data.cache.index, data.source, data.classes, parts)
    trained = groups_of(data.split, "train") | groups_of(data.split, "valid")
    assert groups_of(measured, "test")
    assert not groups_of(measured, "test") & trained
    few = data.cache.index["content_hash"].map(parts).isna()  # other photographs of the same persons
    named = split_for_evaluation(data.cache.index[few], data.source, data.classes, parts, trained)
    assert not groups_of(named, "test") & trained
    dropped = measured.report["dropped_as_of_a_group_in_another_part"]["test"]
    assert dropped == sum(
        group in trained and content_hash not in parts
        for group, content_hash in zip(data.cache.index["group"], data.cache.index["content_hash"], strict=True)
    )


def test_a_training_of_groups_is_checked_and_measured_by_them(folder, run, tmp_path, caplog):
    keys = ("data=folder", f"data.root={folder}", f'data.group_pattern="{PATTERN}"', f"data.cache_dir={tmp_path}")
    counts = ("data.counts={cat: 20, dog: 30}", "data.minority=cat")
    place = run("train=cnn", "balance=real_images", *keys, *counts, folder=tmp_path / "training")
    split_table, training = (pd.read_csv(place / name, dtype=str) for name in ("split.csv", "training.csv"))
    added = training[training["origin"] == "added_real"]
    assert len(added) == 10
    checkpoint, result = place / "checkpoints" / "last.ckpt", Result.load(place)
    used = split_table[split_table["split"] != "test"]
    assert find_groups(checkpoint, result.split_hash) == {*used["group"], *added["group"]}
    assert find_leaks(result, place) == []
    measured = run("train=evaluate", f"checkpoint={checkpoint}", *keys, folder=tmp_path / "evaluation")
    table = pd.read_csv(measured / "split.csv", dtype=str)
    assert not set(table.loc[table["split"] == "test", "group"]) & {*used["group"], *added["group"]}
    caplog.clear()
    run("train=evaluate", f"checkpoint={checkpoint}", *keys[:2], keys[3], folder=tmp_path / "without")
    assert "the classifier's training kept groups apart, and this command names none" in caplog.text
    tested = split_table.loc[split_table["split"] == "test", "group"].iloc[0]
    training.loc[training["origin"] == "added_real", "group"] = tested
    training.to_csv(place / "training.csv", index=False)
    _read_csv.cache_clear()
    assert find_leaks(result, place) == ["was trained on images of groups that are in validation or test"]
