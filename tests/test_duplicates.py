"""Near-duplicates across parts: copies are reported, unrelated images are not."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from fer_experiments.data import duplicates
from fer_experiments.data.duplicates import (
    BITS,
    COLUMNS,
    find_near_duplicates,
    find_test_clusters,
    lowest_frequencies,
    perceptual_hashes,
)
from fer_experiments.data.faces.draw import draw_face
from fer_experiments.data.split import Split
from fer_experiments.report.findings import compute_findings
from tests.results import write_study


def face(number: int = 0) -> Image.Image:
    return Image.fromarray(draw_face("happy", seed=0, part="train", index=number, size=64))


def jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    return Image.open(buffer).convert(image.mode)


def brighter(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.15)


def smaller_and_back(image: Image.Image) -> Image.Image:
    return image.resize((40, 40)).resize(image.size)


def flipped(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def stacked(images) -> np.ndarray:
    """Return images as one array (N, S, S, C) uint8."""
    arrays = [np.asarray(image) for image in images]
    return np.stack([array.reshape(*array.shape[:2], -1) for array in arrays])


def split(*parts: str, labels: str = "", names=()) -> Split:
    """Return a split whose row i lies in parts[i]; labels: a letter for each row."""
    count = len(parts)
    table = pd.DataFrame(
        {
            "path": list(names) or [f"{row}.png" for row in range(count)],
            "label": list(labels or "a" * count),
            "split": list(parts),
            "content_hash": [str(row) for row in range(count)],
            "group": "",
        }
    )
    return Split(table, tuple(sorted(set(table["label"]))), {})


def noise(count: int, size: int = 64, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_an_identical_image_is_at_distance_0(mode):
    images = stacked([face().convert(mode), face().convert(mode)])
    assert find_near_duplicates(images, split("train", "test")).table["distance"].tolist() == [0]


@pytest.mark.parametrize("change", [jpeg, brighter, smaller_and_back])
@pytest.mark.parametrize("number", range(4))
def test_an_altered_copy_is_found(change, number):
    images = stacked([face(number), change(face(number))])
    assert find_near_duplicates(images, split("train", "valid")).pairs == 1


def test_a_mirrored_copy_is_missed():
    assert find_near_duplicates(stacked([face(), flipped(face())]), split("train", "test")).pairs == 0


def test_unrelated_images_are_no_pairs():
    images = np.concatenate([noise(60), stacked([face(number) for number in range(12)])])
    assert find_near_duplicates(images, split(*["train", "valid", "test"] * 24)).pairs == 0


def test_an_image_of_one_colour_has_no_near_duplicates():
    flat = [np.full((1, 64, 64, 3), value, dtype=np.uint8) for value in (0, 128, 128, 255)]
    nearly = (128 + np.random.default_rng(0).integers(0, 2, (4, 64, 64, 3))).astype(np.uint8)  # rounding noise
    images = np.concatenate([*flat, nearly, noise(1)])
    assert find_near_duplicates(images, split(*["train", "test"] * 4, "test")).pairs == 0


def test_the_product_of_two_hashes_gives_their_distance():
    images = noise(5)
    hashes = perceptual_hashes(lowest_frequencies(images, np.arange(5)))
    by_hand = [[(a != b).sum() for b in hashes] for a in hashes]
    np.testing.assert_array_equal((BITS - hashes @ hashes.T) / 2, by_hand)
    assert set(np.unique(hashes)) == {-1, 1}


def test_frequencies_do_not_depend_on_the_batch(monkeypatch):
    images = noise(7)
    expected = lowest_frequencies(images, np.arange(7))
    monkeypatch.setattr(duplicates, "HASH_BATCH", 3)
    np.testing.assert_allclose(lowest_frequencies(images, np.arange(7)), expected, atol=1e-6)


def test_pairs_inside_a_part_are_not_reported():
    images = stacked([face()] * 6)
    assert find_near_duplicates(images, split("train", "train", "train", "test", "valid", "valid")).pairs == 3 + 6 + 2
    for part in ("train", "valid", "test"):
        assert find_near_duplicates(images, split(*[part] * 6)).pairs == 0


def test_a_pair_names_both_images_the_more_protected_last_and_the_nearest_pair_comes_first():
    copies = [face(0), jpeg(face(1)), face(1), face(0)]
    result = find_near_duplicates(stacked(copies), split("test", "valid", "train", "train", labels="abab"))
    rows = result.table.drop(columns="distance")[COLUMNS[:-1]].to_numpy().tolist()
    assert rows[0] == ["3.png", "train", "b", "0.png", "test", "a"]
    assert sorted(rows)[0] == ["2.png", "train", "a", "1.png", "valid", "b"]
    assert result.table["distance"].is_monotonic_increasing
    assert result.summary() == {
        "pairs": 2,
        "images": 4,
        "test_images": 1,
        "threshold": duplicates.THRESHOLD,
        "cross_label_pairs": 2,
    }


def test_rows_of_the_cache_that_the_split_leaves_out_are_not_compared():
    images = np.concatenate([noise(3), stacked([face(), face()])])
    pair = split("train", "test")
    pair.table.index = pd.Index([4, 1])
    assert find_near_duplicates(images, pair).pairs == 0
    pair.table.index = pd.Index([4, 3])
    assert find_near_duplicates(images, pair).table[["row_a", "row_b"]].to_numpy().tolist() == [[4, 3]]


@pytest.mark.parametrize("block", [1, 2, 5])
def test_pairs_do_not_depend_on_the_block_size(block, monkeypatch):
    images = stacked([face(number % 4) for number in range(12)])
    parts = split(*["train"] * 6, *["valid", "test"] * 3)

    def pairs():
        return set(map(tuple, find_near_duplicates(images, parts).table[["row_a", "row_b"]].to_numpy().tolist()))

    expected = pairs()
    assert len(expected) > 5
    monkeypatch.setattr(duplicates, "COMPARISON_BLOCK", block)
    assert pairs() == expected


def test_of_very_many_pairs_the_nearest_are_in_the_table_and_all_are_counted(monkeypatch):
    monkeypatch.setattr(duplicates, "MAX_PAIRS", 4)
    monkeypatch.setattr(duplicates, "COMPARISON_BLOCK", 2)
    result = find_near_duplicates(stacked([face()] * 10), split(*["train", "test"] * 5, labels="aabbaabbaa"))
    assert len(result.table) == 4
    assert (result.pairs, result.images, result.cross_label_pairs) == (25, 10, 12)


def test_no_pairs_leave_a_table_without_rows_and_no_picture(tmp_path):
    images = noise(2)
    result = find_near_duplicates(images, split("train", "test"))
    result.save(tmp_path, images)
    assert (tmp_path / "near_duplicates.csv").read_text() == ",".join(COLUMNS) + "\n"
    assert not (tmp_path / "near_duplicates.png").exists()
    assert result.summary() == {
        "pairs": 0,
        "images": 0,
        "test_images": 0,
        "threshold": duplicates.THRESHOLD,
        "cross_label_pairs": 0,
    }


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_picture_shows_pairs_side_by_side(tmp_path, mode):
    images = stacked([face().convert(mode)] * 2)
    find_near_duplicates(images, split("train", "test")).save(tmp_path, images)
    picture = Image.open(tmp_path / "near_duplicates.png")
    assert picture.size == (128, 64)


def test_the_picture_has_at_most_a_dozen_pairs(tmp_path):
    images = stacked([face()] * 40)
    find_near_duplicates(images, split(*["train", "test"] * 20)).save(tmp_path, images)
    assert Image.open(tmp_path / "near_duplicates.png").size == (3 * 134 + 6, 4 * 70 + 6)
    assert len(pd.read_csv(tmp_path / "near_duplicates.csv")) == 400


def test_odd_file_names_survive(tmp_path):
    odd = ['a,"b"\n.png', b"\xff.png".decode("utf-8", "surrogateescape")]
    images = stacked([face()] * 2)
    find_near_duplicates(images, split("train", "test", names=odd)).save(tmp_path, images)
    table = pd.read_csv(tmp_path / "near_duplicates.csv", encoding_errors="surrogateescape")
    assert [table["path_a"][0], table["path_b"][0]] == odd


def test_a_study_reports_the_near_duplicates_of_its_first_seed(run, tmp_path):
    for part, numbers in (("train", range(8)), ("valid", range(20, 24)), ("test", range(30, 34))):
        for label in ("cat", "dog"):
            folder = tmp_path / "pets" / part / label
            folder.mkdir(parents=True)
            for number in numbers:
                face(number + 100 * (label == "dog")).save(folder / f"{number}.png")
    jpeg(face(0)).save(tmp_path / "pets" / "test" / "dog" / "copy.png")
    folder = run("data=folder", f"data.root={tmp_path}/pets", "train.arms=[none]")
    table = pd.read_csv(folder / "near_duplicates.csv")
    assert table[["path_a", "path_b"]].to_numpy().tolist() == [["train/cat/0.png", "test/dog/copy.png"]]
    summary = json.loads((folder / "data.json").read_text())["near_duplicates"]
    assert summary == {
        "pairs": 1,
        "images": 2,
        "test_images": 1,
        "threshold": duplicates.THRESHOLD,
        "cross_label_pairs": 1,
    }
    for name in ("near_duplicates.csv", "near_duplicates.png"):
        assert (folder / name).read_bytes() == (folder / "seed_0" / name).read_bytes()


def test_test_images_that_are_alike_are_a_cluster():
    noises = [Image.fromarray(image) for image in noise(16)]
    images = stacked([face(0), jpeg(face(0)), brighter(face(0)), face(1), *noises, face(0)])
    clusters = find_test_clusters(images, split(*["test"] * 20, "train"))
    assert clusters["content_hash"].tolist() == ["0", "1", "2"]
    assert clusters["cluster"].nunique() == 1


def test_copies_in_other_parts_make_no_cluster():
    images = stacked([face(0), face(0), face(1)])
    assert find_test_clusters(images, split("train", "test", "test")).empty


def test_where_many_images_are_alike_likeness_is_no_sign_of_a_copy():
    copies = [face(0), jpeg(face(0)), smaller_and_back(face(0))]
    images = stacked([*copies, *(Image.fromarray(image) for image in noise(11))])
    assert find_test_clusters(images, split(*["test"] * 14)).empty  # 3 of 14 are over a fifth
    assert len(find_test_clusters(stacked([*images, *noise(1, seed=5)]), split(*["test"] * 15))) == 3


def test_near_duplicates_count_once_in_the_intervals(tmp_path):
    record = write_study(tmp_path, {"none": {0: 0.7, 1: 0.7}, "dcgan": {0: 0.8, 1: 0.8}}, [0, 1])
    plain = compute_findings(record, tmp_path).estimates["none"]
    alike = pd.DataFrame({"content_hash": [f"test{n:03d}" for n in range(200)], "cluster": np.arange(200) // 10})
    alike.to_csv(tmp_path / "seed_0" / "test_clusters.csv", index=False)
    clustered = compute_findings(record, tmp_path).estimates["none"]
    assert clustered.mean == plain.mean
    assert clustered.high - clustered.low > plain.high - plain.low
