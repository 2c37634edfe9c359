"""Generated images on disk: read back as they were written, and refused if they were made from another split."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fer_experiments.audit.record import AuditRecord
from fer_experiments.data.faults import FAULTS
from fer_experiments.data.synthetic import (
    COLUMNS,
    MANIFEST,
    SCORES,
    GeneratedImages,
    read_synthetic,
)
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from tests.conftest import write_synthetic

SPLIT = "0123456789abcdef"


def noise(count, channels=3, size=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path):
    """synthetic/ with five cats and three dogs in colour."""
    write_synthetic(tmp_path, "cat", noise(5, seed=1), [10, 11, 12, 13, 14], "checkpoint", SPLIT)
    write_synthetic(tmp_path, "dog", noise(3, seed=2), [0, 1, 2], "checkpoint", SPLIT)
    return tmp_path


def manifest(folder):
    return pd.read_csv(folder / MANIFEST, dtype=str, keep_default_na=False)


def edit(folder, **columns):
    manifest(folder).assign(**columns).to_csv(folder / MANIFEST, index=False)


def scores(faults):
    """Return the scores of images; faults: a list for each image."""
    table = pd.DataFrame({name: [0.25] * len(faults) for name in SCORES})
    return table.assign(**{fault: [fault in image for image in faults] for fault in FAULTS})


@pytest.fixture
def scored(tmp_path):
    """Four cats: without faults, memorised, off_class, and both."""
    table = scores([[], ["memorised"], ["off_class"], ["memorised", "off_class"]])
    write_synthetic(tmp_path, "cat", noise(4, seed=1), [0, 1, 2, 3], "checkpoint", SPLIT, table)
    return tmp_path


@pytest.mark.parametrize("channels", [1, 3])
def test_written_images_are_read_back_pixel_by_pixel(tmp_path, channels):
    images = noise(4, channels)
    write_synthetic(tmp_path, "cat", images, [0, 1, 2, 3], "checkpoint", SPLIT)
    read = read_synthetic(tmp_path, {"cat": 4}, SPLIT, channels)
    np.testing.assert_array_equal(read.images, images)
    assert read.labels.tolist() == ["cat"] * 4


def test_the_first_images_of_each_class_are_read_in_the_requested_order(folder):
    read = read_synthetic(folder, {"dog": 2, "cat": 3}, SPLIT, 3)
    assert read.labels.tolist() == ["dog"] * 2 + ["cat"] * 3
    np.testing.assert_array_equal(read.images, np.concatenate([noise(3, seed=2)[:2], noise(5, seed=1)[:3]]))
    assert read.counts() == {"cat": 3, "dog": 2}


def test_fewer_images_are_contained_in_more(folder):
    few, more = (read_synthetic(folder, {"cat": count}, SPLIT, 3).images for count in (2, 5))
    np.testing.assert_array_equal(few, more[:2])


def test_the_manifest_names_the_seed_the_checkpoint_and_the_split_of_each_image(folder):
    rows = manifest(folder)
    assert list(rows.columns) == COLUMNS == ["file", "class", "seed", "checkpoint_hash", "split_hash"]
    assert rows["file"].tolist()[:2] == ["cat/00000010.png", "cat/00000011.png"]
    assert rows["seed"].tolist() == ["10", "11", "12", "13", "14", "0", "1", "2"]
    assert set(rows["checkpoint_hash"]) == {"checkpoint"}
    assert set(rows["split_hash"]) == {SPLIT}
    assert all((folder / file).is_file() for file in rows["file"])


def test_writing_a_seed_again_replaces_its_image_and_row(folder):
    again = noise(2, seed=9)
    write_synthetic(folder, "cat", again, [14, 15], "another", SPLIT)
    rows = manifest(folder)
    assert rows["file"].is_unique
    assert rows.loc[rows["file"] == "cat/00000014.png", "checkpoint_hash"].tolist() == ["another"]
    assert len(rows) == 9
    images = read_synthetic(folder, {"cat": 6}, SPLIT, 3).images
    np.testing.assert_array_equal(images[-2:], again)


@pytest.mark.parametrize("name", ["NA", "1", "wütend", "a, b"])
def test_class_names_survive(tmp_path, name):
    write_synthetic(tmp_path, name, noise(2), [0, 1], "checkpoint", SPLIT)
    assert read_synthetic(tmp_path, {name: 2}, SPLIT, 3).counts() == {name: 2}


def test_split_hashes_of_digits_are_compared_as_text(tmp_path):
    write_synthetic(tmp_path, "cat", noise(1), [0], "007", "0000000000000012")
    write_synthetic(tmp_path, "cat", noise(1), [1], "007", "0000000000000012")
    assert manifest(tmp_path)["checkpoint_hash"].tolist() == ["007", "007"]
    assert len(read_synthetic(tmp_path, {"cat": 2}, "0000000000000012", 3).images) == 2


def test_colour_is_read_as_grayscale_for_one_channel(folder):
    assert read_synthetic(folder, {"cat": 2}, SPLIT, 1).images.shape == (2, 8, 8, 1)


def test_counts_of_no_images_are_empty():
    assert GeneratedImages(noise(0), *[np.array([], dtype=str)] * 2).counts() == {}


def test_images_from_another_split_are_refused_with_both_hashes(folder):
    with pytest.raises(
        ConfigError, match=rf"made from the split {SPLIT}, but this run's split is fedc; .*balance\.synthetic=null"
    ):
        read_synthetic(folder, {"cat": 2}, "fedc", 3)


def test_one_image_from_another_split_is_enough_to_refuse_all(folder):
    edit(folder, split_hash=[SPLIT] * 7 + ["other"])
    with pytest.raises(ConfigError, match=r"balance\.synthetic=.*: made from the split other, but"):
        read_synthetic(folder, {"cat": 2}, SPLIT, 3)


@pytest.mark.parametrize(("label", "count"), [("cat", 5), ("cow", 0)])
def test_too_few_images_are_refused_with_both_numbers(folder, label, count):
    message = rf"has {count} images of {label}, 6 are needed; make more with .*generate multirun/RUN --count 6"
    with pytest.raises(ConfigError, match=message):
        read_synthetic(folder, {label: 6}, SPLIT, 3)


def test_a_folder_without_manifest_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"balance\.synthetic=.*: its manifest\.csv can't be read: .*No such file"):
        read_synthetic(tmp_path, {"cat": 1}, SPLIT, 3)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'"a\n'])
def test_a_manifest_that_is_not_csv_is_named(tmp_path, content):
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(ConfigError, match=r"balance\.synthetic=.*manifest\.csv (can't be read|lacks the column)"):
        read_synthetic(tmp_path, {"cat": 1}, SPLIT, 3)


def test_a_manifest_without_a_column_is_refused(folder):
    manifest(folder).drop(columns=["split_hash", "seed"]).to_csv(folder / MANIFEST, index=False)
    with pytest.raises(ConfigError, match=r"manifest\.csv lacks the column seed, split_hash"):
        read_synthetic(folder, {"cat": 1}, SPLIT, 3)


@pytest.mark.parametrize("file", ["../secret.png", "cat/../../secret.png", "/etc/secret.png"])
def test_a_manifest_cant_name_files_outside_its_folder(folder, file):
    edit(folder, file=file)
    with pytest.raises(
        ConfigError, match=rf"'{file}', which manifest\.csv names, can't be read: it lies outside the folder"
    ):
        read_synthetic(folder, {"cat": 1}, SPLIT, 3)


@pytest.mark.parametrize("damage", ["gone", "cut", "flipped", "text"])
def test_an_image_that_cant_be_read_is_named(folder, damage):
    path = folder / "cat" / "00000010.png"
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    elif damage == "text":
        path.write_text("not an image")
    with pytest.raises(ConfigError, match=r"balance\.synthetic=.*: 'cat/00000010\.png', which .* can't be read: "):
        read_synthetic(folder, {"cat": 1}, SPLIT, 3)


def test_images_of_unlike_sizes_are_refused(folder):
    Image.new("RGB", (9, 9)).save(folder / "cat" / "00000010.png")
    with pytest.raises(ConfigError, match=r"images differ in size: \[\(8, 8, 3\), \(9, 9, 3\)\]"):
        read_synthetic(folder, {"cat": 5}, SPLIT, 3)


# Scores and faults


def test_the_manifest_names_the_faults_of_each_image(scored):
    rows = manifest(scored)
    assert rows["faults"].tolist() == ["", "memorised", "off_class", "memorised off_class"]
    assert (rows[SCORES] == "0.25").all(axis=None)


@pytest.mark.parametrize(
    ("reject", "left"),
    [([], [0, 1, 2, 3]), (["memorised"], [0, 2]), (["off_class"], [0, 1]), (FAULTS, [0]), (["low_quality"], range(4))],
)
def test_images_with_a_rejected_fault_are_passed_over(scored, reject, left):
    read = read_synthetic(scored, {"cat": len(left)}, SPLIT, 3, reject)
    np.testing.assert_array_equal(read.images, noise(4, seed=1)[list(left)])
    with pytest.raises(ConfigError, match=rf"has {len(left)} images of cat, {len(left) + 1} are needed"):
        read_synthetic(scored, {"cat": len(left) + 1}, SPLIT, 3, reject)


def test_too_few_accepted_images_are_refused_with_the_rule_and_the_draws(scored):
    with pytest.raises(ConfigError, match=r"balance\.reject=\['memorised'\] lets through no more of the 4 that were"):
        read_synthetic(scored, {"cat": 3}, SPLIT, 3, ["memorised"])


def test_dropped_images_have_a_row_and_no_file(tmp_path):
    table = scores([["memorised"], [], ["off_class"]])
    write_synthetic(tmp_path, "cat", noise(3), [0, 1, 2], "checkpoint", SPLIT, table, dropped=["memorised"])
    assert manifest(tmp_path)["file"].tolist() == ["", "cat/00000001.png", "cat/00000002.png"]
    assert len(list((tmp_path / "cat").iterdir())) == 2
    np.testing.assert_array_equal(read_synthetic(tmp_path, {"cat": 2}, SPLIT, 3).images, noise(3)[1:])
    write_synthetic(tmp_path, "cat", noise(1, seed=9), [0], "another", SPLIT, scores([[]]))
    assert manifest(tmp_path)["seed"].tolist() == ["1", "2", "0"]


def test_images_without_scores_cant_be_rejected(folder, scored):
    with pytest.raises(ConfigError, match=r"not scored, so balance\.reject=\['memorised'\] can't choose"):
        read_synthetic(folder, {"dog": 1}, SPLIT, 3, ["memorised"])


def test_no_more_than_the_distinct_images_are_made_and_these_are_repeated(run):
    folder = run("train=cnn", "balance=dcgan", "balance.add=8", "balance.distinct=3", "classifier.epochs=1")
    assert len([*folder.glob("gan/synthetic/*/*.png")]) == 3
    table = pd.read_csv(folder / "training.csv")
    uses = table.loc[table["origin"] == "generated", "times"]
    assert sorted(uses) == [2, 3, 3]
    assert Result.load(folder).generated == {"angry": 8}
    assert AuditRecord.load(folder / "gan").generated == 3
