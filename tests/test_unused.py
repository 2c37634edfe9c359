"""The real images that a split leaves unused: which they are, and what a training that uses them leaves behind."""

import pandas as pd
import pytest

from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.unused import draw_unused_images, list_unused_images
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.runs.training_files import find_parts
from tests.conftest import source, write_images

COUNTS = {"cat": 6, "dog": 10}


@pytest.fixture
def pets(tmp_path):
    """40 cats and 40 dogs, of which the split uses some; one cat has a copy."""
    for number, label in enumerate(("cat", "dog")):
        write_images(tmp_path / "pets" / label, 40, seed=number)
    cats = sorted((tmp_path / "pets" / "cat").iterdir())
    (cats[0].parent / "copy.png").write_bytes(cats[0].read_bytes())
    return PreparedData.prepare(source("folder", root=tmp_path / "pets", counts=COUNTS, cache_dir=tmp_path), 0)


def test_unused_images_are_of_the_training_part_and_in_no_part_of_the_split(pets):
    unused = list_unused_images(pets)
    assert not set(unused["content_hash"]) & set(pets.split.table["content_hash"])
    assert not unused["content_hash"].duplicated().any()
    used = pets.split.table["content_hash"].nunique()
    assert len(unused) == pets.cache.index["content_hash"].nunique() - used


def test_a_part_of_the_source_that_is_left_out_stays_unused(tmp_path):
    for number, part in enumerate(("train", "valid", "test")):
        for place, label in enumerate(("cat", "dog")):
            write_images(tmp_path / "pets" / part / label, 30, seed=10 * number + place)
    keys = {"root": tmp_path / "pets", "cache_dir": tmp_path, "counts": COUNTS, "test_counts": {"cat": 3, "dog": 3}}
    data = PreparedData.prepare(source("folder", parts={"valid": None}, **keys), 0)
    assert set(list_unused_images(data)["part"]) == {"train"}


def test_a_seed_draws_the_same_images_and_another_one_others(pets):
    rows = draw_unused_images(pets, {"cat": 9, "dog": 2}, seed=0)
    assert pets.cache.index.loc[rows, "label"].tolist() == ["cat"] * 9 + ["dog"] * 2
    assert rows.tolist() == draw_unused_images(pets, {"dog": 2, "cat": 9}, seed=0).tolist()
    assert set(rows) != set(draw_unused_images(pets, {"cat": 9, "dog": 2}, seed=1))
    assert len(set(rows)) == 11


def test_too_few_unused_images_are_an_error(pets):
    available = int((list_unused_images(pets)["label"] == "cat").sum())
    message = (
        rf"^balance=real_images: {available + 1} more images of cat are needed, and the split leaves {available} of"
    )
    with pytest.raises(ConfigError, match=message):
        draw_unused_images(pets, {"cat": available + 1}, seed=0)


def test_a_training_with_more_real_images_knows_them_as_its_own(run):
    folder = run("train=cnn", "balance=real_images", "balance.add=4")
    table = pd.read_csv(folder / "training.csv")
    added = table[table["origin"] == "added_real"]
    split = pd.read_csv(folder / "split.csv")
    assert len(added) == 4
    assert not set(added["content_hash"]) & set(split["content_hash"])
    result = Result.load(folder)
    assert result.added_real == {"angry": 4}
    assert result.is_control
    parts = find_parts(folder / "checkpoints" / "last.ckpt", result.split_hash)
    assert {parts[value] for value in added["content_hash"]} == {"train"}


def test_copies_are_training_images_at_the_size_of_generated_ones(run):
    folder = run("train=cnn", "balance=copies", "balance.add=4")
    table = pd.read_csv(folder / "training.csv")
    copied = table[table["origin"] == "copied"]
    assert copied["times"].sum() == 4
    assert set(copied["path"]) <= set(table.loc[table["origin"] == "real", "path"])
    assert Result.load(folder).copied == {"angry": 4}
