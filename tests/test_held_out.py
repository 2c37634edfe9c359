"""The held-out images, by which generated ones are measured: unused real ones, of which no network knows any."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from fer_experiments.audit import held_out
from fer_experiments.audit.audit_folder import measure_on_held_out
from fer_experiments.audit.class_images import HELD_OUT, TRAIN, UNSEEN, VALID, ClassImages
from fer_experiments.audit.held_out import choose_held_out_images
from fer_experiments.audit.image_scores import ImageScorer
from fer_experiments.audit.reference_training import get_or_train_reference_classifier
from fer_experiments.data.leak import leak_to_gan
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.unused import list_unused_images
from fer_experiments.train.gan.track_kid import KIDToValidation
from tests.conftest import source, write_images

COUNTS = {"cat": 8, "dog": 16}
NO_IMAGES = np.empty((0, 24, 24, 3), dtype=np.uint8)
FACES = [
    "data.train_per_class=60",
    "data.test_per_class=12",
    "data.counts={angry: 20, happy: 20}",
    "data.split_seed=0",
    "classifier.image_size=32",
    "reference_classifier.image_size=32",
    "reference_classifier.epochs=1",
    "gan.image_size=32",
    "trainer.progress=false",
]


def write_nearly_equal_copies(folder) -> None:
    """Write beside each image one that is a little brighter."""
    for path in sorted(folder.iterdir()):
        brighter = np.clip(np.asarray(Image.open(path)).astype(int) + 4, 0, 255).astype(np.uint8)
        Image.fromarray(brighter).save(folder / f"copy_of_{path.name}")


def prepare(folder, **keys) -> PreparedData:
    """Split the images in folder/pets, of which it uses some; without such a folder, 60 cats and 60 dogs."""
    root = folder / "pets"
    if not root.exists():
        for number, label in enumerate(("cat", "dog")):
            write_images(root / label, 60, seed=number)
    return PreparedData.prepare(source("folder", root=root, cache_dir=folder, **{"counts": COUNTS} | keys), 0)


def test_unused_images_are_held_out_and_none_of_them_is_in_a_part_of_the_split(tmp_path):
    data = prepare(tmp_path)
    for label in data.classes:
        images = choose_held_out_images(data, label)
        assert images.source == "unused"
        assert set(images.table["label"]) == {label}
        unused = list_unused_images(data)
        assert set(images.table.index) == set(unused.index[unused["label"] == label])
        assert not set(images.table["content_hash"]) & set(data.split.table["content_hash"])
        assert images.table["content_hash"].is_monotonic_increasing  # so that the first are as good as a random sample


@pytest.mark.parametrize(
    ("cats", "valid", "unused", "expected"),
    [(34, 7, 7, "unused"), (35, 7, 6, "validation"), (40, 8, 0, "validation")],
)
def test_validation_images_are_held_out_if_fewer_are_unused(tmp_path, cats, valid, unused, expected):
    data = prepare(tmp_path, counts={"cat": cats, "dog": 16})
    assert data.split.counts("valid")["cat"] == valid
    assert int((list_unused_images(data)["label"] == "cat").sum()) == unused
    images = choose_held_out_images(data, "cat")
    assert (images.source, len(images.table)) == (expected, valid)


def test_at_most_so_many_are_taken_as_are_enough_or_as_validation_has(tmp_path, monkeypatch):
    data = prepare(tmp_path)
    monkeypatch.setattr(held_out, "MAX_UNUSED", 5)
    dogs = data.split.counts("valid")["dog"]
    assert len(choose_held_out_images(data, "dog").table) == 5 > dogs
    monkeypatch.setattr(held_out, "MAX_UNUSED", 1)
    assert len(choose_held_out_images(data, "dog").table) == dogs


def test_near_duplicates_of_training_images_are_not_held_out(tmp_path):
    for number, label in enumerate(("cat", "dog")):
        write_images(tmp_path / "pets" / label, 60, seed=number)
        write_nearly_equal_copies(tmp_path / "pets" / label)
    data = prepare(tmp_path)
    unused = list_unused_images(data)
    paths = {
        path.replace("copy_of_", "") for path in data.split.table.loc[data.split.table["split"] == "train", "path"]
    }
    is_copy = unused["path"].str.replace("copy_of_", "").isin(paths)
    assert is_copy.sum() >= 10
    images = [choose_held_out_images(data, label) for label in data.classes]
    assert {chosen.source for chosen in images} == {"unused"}
    assert set().union(*(chosen.table.index for chosen in images)) == set(unused.index[~is_copy])


def test_if_most_images_are_alike_likeness_is_no_sign_of_a_copy(tmp_path):
    for number, label in enumerate(("cat", "dog")):
        folder = tmp_path / "pets" / label
        folder.mkdir(parents=True)
        rng = np.random.default_rng(number)
        drawn = rng.integers(0, 256, (24, 24, 3))
        for place in range(60):
            pixels = np.clip(drawn + rng.integers(0, 5, drawn.shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{place:02d}.png")
    data = prepare(tmp_path)
    assert sum(len(choose_held_out_images(data, label).table) for label in data.classes) == len(
        list_unused_images(data)
    )


def test_copies_of_test_images_are_not_unused_even_if_the_test_images_are(tmp_path):
    for number, part in enumerate(("train", "test")):
        for place, label in enumerate(("cat", "dog")):
            write_images(tmp_path / "pets" / part / label, 40, seed=10 * number + place)
    for path in (tmp_path / "pets" / "test" / "cat").iterdir():
        (tmp_path / "pets" / "train" / "cat" / f"copy_{path.name}").write_bytes(path.read_bytes())
    data = prepare(tmp_path, test_counts={"cat": 3, "dog": 3})
    index = data.cache.index
    test = set(index.loc[index["part"] == "test", "content_hash"])
    assert len(test) == 80
    assert not set(list_unused_images(data)["content_hash"]) & test
    assert not set(choose_held_out_images(data, "cat").table["content_hash"]) & test


def test_the_unseen_images_are_all_that_no_generator_may_have_seen(tmp_path):
    data = prepare(tmp_path)
    images = ClassImages(data, "cat", NO_IMAGES)
    unused = set(images.table(HELD_OUT).index)
    table = data.split.table
    rest = set(table.index[(table["split"] != "train") & (table["label"] == "cat")])
    unseen = images.table(UNSEEN).index
    assert not unseen.has_duplicates
    assert set(unseen) == unused | rest
    assert not set(unseen) & set(images.table(TRAIN).index)
    leaked = ClassImages(leak_to_gan(data), "cat", NO_IMAGES)
    assert set(leaked.table(UNSEEN).index) == unused | set(images.table(VALID).index)


@pytest.fixture
def reference(read):
    """(data with more unused than validation images, its reference classifier, the configuration)"""
    config = read("train=dcgan", *FACES)
    data = PreparedData.prepare(config.data, 0)
    return data, get_or_train_reference_classifier(config.audit_settings, data), config


def test_what_is_chosen_is_chosen_by_validation(reference):
    data, classifier, config = reference
    valid = data.split.counts("valid")
    assert choose_held_out_images(data, "angry").source == "unused"
    real = KIDToValidation(config.gan, data, classifier, ["angry"]).real
    assert {label: len(features) for label, features in real.items()} == {"angry": valid["angry"]}
    scorer = ImageScorer(data, classifier, "angry", 32)
    assert scorer.calibrated_on == f"{sum(valid.values())} validation images of all classes"


def test_a_classifier_of_generated_images_is_measured_on_the_held_out_images_of_all_classes(reference):
    data, classifier, _ = reference
    real = [ClassImages(data, label, NO_IMAGES) for label in data.classes]
    metrics = measure_on_held_out(classifier, real)
    counts = {label: len(choose_held_out_images(data, label).table) for label in data.classes}
    assert metrics["held_out"] == {label: {"images": count, "source": "unused"} for label, count in counts.items()}
    assert metrics["images"] == sum(counts.values())
    always_first = replace(classifier, shift=torch.tensor([1e6, 0.0]))
    assert measure_on_held_out(always_first, real)["recall"] == {"angry": 1.0, "happy": 0.0}
