"""Batches: the right pixels with the right labels, in an order that the seed alone decides."""

from collections import Counter

import lightning
import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize

from fer_experiments.data.batches import EpochBatches, InjectedBatches, Injection, InOrder
from fer_experiments.data.module import ImageData, ImageDataModule, Images, ResidentImages
from fer_experiments.data.synthetic import GeneratedImages, read_synthetic, write_synthetic
from fer_experiments.spec import ConfigError
from tests.conftest import source

CACHE = np.random.default_rng(0).integers(0, 256, (10, 12, 12, 3), dtype=np.uint8)
ROWS = np.array([7, 1, 4, 9, 2])
LABELS = np.array([0, 1, 1, 0, 1])
GENERATED = np.random.default_rng(1).integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)


def channels_first(pixels):
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


@pytest.fixture
def pets(two_classes):
    """pets(**keys) -> the ImageData of two_classes: 8 cats and 12 dogs of 24 x 24 pixels for training."""
    counts = {"cat": 8, "dog": 12}
    return lambda seed=0, **keys: ImageData.prepare(source("folder", root=two_classes, counts=counts, **keys), seed)


def module(data, **keys):
    return ImageDataModule(data, **{"image_size": 24, "batch_size": 4, "seed": 0} | keys)


def generated(count=6, size=16, channels=3, label="cat"):
    images = np.random.default_rng(5).integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    files = np.array([f"{label}/{number}.png" for number in range(count)])
    return GeneratedImages(images, np.array([label] * count), files)


class Recorder(lightning.LightningModule):
    """Keeps every batch that a Trainer gives it."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.batches = {"train": [], "valid": [], "predict": []}

    def training_step(self, batch, index):
        self.batches["train"].append(batch)
        return self.layer(batch[0].mean().reshape(1, 1)).sum()

    def validation_step(self, batch, index):
        self.batches["valid"].append(batch)

    def predict_step(self, batch, index, dataloader_idx=0):
        self.batches["predict"].append((dataloader_idx, *batch))
        return batch[1]

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.fixture
def fitted(tmp_path):
    """fitted(module, epochs) -> the batches of a real Trainer's fit and predict."""

    def fit(datamodule, epochs=1, predict=True, accelerator="cpu"):
        recorder = Recorder()
        trainer = lightning.Trainer(
            accelerator=accelerator,
            max_epochs=epochs,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=1,
            default_root_dir=tmp_path,
        )
        trainer.fit(recorder, datamodule=datamodule)
        recorder.batches["valid"] = recorder.batches["valid"][1:]  # without the sanity check's
        if predict:
            trainer.predict(recorder, datamodule=datamodule)
        return recorder.batches

    return fit


def same(first, second) -> bool:
    return len(first) == len(second) and all(
        all(torch.equal(x, y) for x, y in zip(a, b, strict=True)) for a, b in zip(first, second, strict=True)
    )


# Images


def test_a_batch_is_the_rows_asked_for_in_that_order():
    images, labels = Images(CACHE, ROWS, LABELS, size=12)[[3, 0, 3]]
    assert torch.equal(images, channels_first(CACHE[[9, 7, 9]]))
    assert labels.tolist() == [0, 0, 0]
    assert (images.dtype, labels.dtype) == (torch.uint8, torch.int64)


@pytest.mark.parametrize("indices", [[0, 5, 1, 7, 5, 4], [5, 6, 7], [0, 1], [7, 0]])
def test_a_mixed_batch_keeps_order_and_labels(indices):
    labels = np.concatenate([LABELS, [2, 3, 4]])
    images, got = Images(CACHE, ROWS, labels, size=12, generated=GENERATED)[indices]
    both = np.concatenate([CACHE[ROWS], GENERATED])
    assert torch.equal(images, channels_first(both[indices]))
    assert got.tolist() == labels[indices].tolist()
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_origin_is_recorded_for_every_image():
    images = Images(CACHE, ROWS, np.concatenate([LABELS, [2, 3, 4]]), size=12, generated=GENERATED)
    assert images.origin == ["real"] * 5 + ["generated"] * 3
    assert len(images.origin) == len(images) == 8
    assert Images(CACHE, ROWS, LABELS, size=12).origin == ["real"] * 5


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_a_batch_tells_the_weights_of_its_images_where_they_differ(weight):
    labels = np.concatenate([LABELS, [2, 3, 4]])
    images = Images(CACHE, ROWS, labels, size=12, generated=GENERATED, weight=weight)
    _, *told = images[[0, 6, 1]]
    wanted = [labels[[0, 6, 1]].tolist()] + ([[1.0, 0.25, 1.0]] if weight != 1 else [])
    assert [values.tolist() for values in told] == wanted
    assert same([ResidentImages(images, torch.device("cpu"))[[0, 6, 1]]], [images[[0, 6, 1]]])


@pytest.mark.parametrize("size", [8, 12, 20])
def test_images_are_resized_with_antialiasing(size):
    images, _ = Images(CACHE, ROWS, LABELS, size=size)[[0, 1]]
    expected = resize(channels_first(CACHE[ROWS[:2]]), [size, size], InterpolationMode.BILINEAR, antialias=True)
    assert torch.equal(images, expected)


def test_bottleneck_takes_real_images_through_its_size_and_leaves_generated_ones():
    labels = np.concatenate([LABELS, [0, 0, 0]])
    through = Images(CACHE, ROWS, labels, size=12, bottleneck=8, generated=GENERATED)[[0, 5]][0]
    small = resize(channels_first(CACHE[ROWS[:1]]), [8, 8], InterpolationMode.BILINEAR, antialias=True)
    assert torch.equal(through[:1], resize(small, [12, 12], InterpolationMode.BILINEAR, antialias=True))
    assert torch.equal(through[1:], channels_first(GENERATED[:1]))


@pytest.mark.parametrize("size", [12, 20])
def test_resident_images_are_the_same_batches(size):
    images = Images(CACHE, ROWS, np.concatenate([LABELS, [1, 1, 1]]), size, bottleneck=8, generated=GENERATED)
    resident = ResidentImages(images, torch.device("cpu"))
    assert len(resident) == len(images)
    assert resident.images.nbytes == images.bytes
    for indices in ([0, 5, 5, 2], [7], list(range(8))):
        (mine, labels), (other, others) = resident[indices], images[indices]
        assert mine.dtype == torch.uint8
        assert mine.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(mine, other)
        assert torch.equal(labels, others)


def test_bottleneck_makes_real_images_what_a_generators_are():
    """A real image stored at 64 pixels by a generator's way and one through the bottleneck become the same."""
    small = resize(channels_first(CACHE), [8, 8], InterpolationMode.BILINEAR, antialias=True)
    stored = small.permute(0, 2, 3, 1).contiguous().numpy()
    labels = np.zeros(20, dtype=np.int64)
    images, _ = Images(CACHE, np.arange(10), labels, size=20, bottleneck=8, generated=stored)[list(range(20))]
    assert torch.equal(images[:10], images[10:])


def test_reading_batches_does_not_change_the_cache():
    before = CACHE.copy()
    Images(CACHE, ROWS, LABELS, size=12)[[0, 1]][0].fill_(0)
    np.testing.assert_array_equal(CACHE, before)


# Orders


def epochs(length, batch_size, steps, count, seed=0):
    sampler = EpochBatches(length, batch_size, steps, seed)
    for epoch in range(count):
        sampler.set_epoch(epoch)
        yield list(sampler)


@pytest.mark.parametrize(
    ("length", "batch_size", "steps"), [(10, 4, 3), (10, 5, 2), (7, 64, 1), (3, 2, 50), (100, 8, 1), (1, 1, 1)]
)
def test_an_epoch_has_exactly_so_many_full_batches(length, batch_size, steps):
    for batches in epochs(length, batch_size, steps, 3):
        assert len(batches) == steps == len(EpochBatches(length, batch_size, steps, 0))
        assert {len(batch) for batch in batches} == {batch_size}
        assert {index for batch in batches for index in batch} <= set(range(length))


@pytest.mark.parametrize(("length", "batch_size", "steps"), [(10, 4, 3), (7, 64, 1), (100, 8, 1)])
def test_all_images_are_used_equally_often(length, batch_size, steps):
    row = [index for batches in epochs(length, batch_size, steps, length) for batch in batches for index in batch]
    for start in range(0, len(row), length):  # every whole pass is a permutation
        assert sorted(row[start : start + length]) == list(range(length))
    assert set(Counter(row).values()) == {steps * batch_size}


def test_an_epoch_depends_on_the_seed_and_its_number_alone():
    in_turn = list(epochs(10, 4, 3, 6))
    sampler = EpochBatches(10, 4, 3, 0)
    for epoch in (4, 0, 2):
        sampler.set_epoch(epoch)
        assert list(sampler) == list(sampler) == in_turn[epoch]
    assert len({str(batches) for batches in in_turn}) == 6
    assert in_turn != list(epochs(10, 4, 3, 6, seed=1))


# InjectedBatches: places 0 to 9 are real, 10 to 16 generated


def injected(injection: Injection, batch_size: int = 4, steps: int = 6, epochs: int = 3) -> list[list[list[int]]]:
    """The batches of each epoch."""
    sampler = InjectedBatches(10, 7, batch_size, steps, 0, injection, total=steps * epochs)
    found = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        found.append(list(sampler))
    return found


@pytest.mark.parametrize(("share", "each"), [(0.25, 1), (0.5, 2), (0.4, 2), (0.01, 0)])
def test_every_batch_has_its_share_of_generated_images(share, each):
    batches = [batch for epoch in injected(Injection(share=share)) for batch in epoch]
    assert len(batches) == 18
    assert all(len(batch) == 4 and sum(place >= 10 for place in batch) == each for batch in batches)


@pytest.mark.parametrize(("first", "alone"), [(1 / 3, 6), (0.5, 9), (0.05, 1), (0.95, 17)])
def test_generated_images_come_first_and_then_no_more(first, alone):
    batches = [batch for epoch in injected(Injection(first=first)) for batch in epoch]
    assert [min(batch) >= 10 for batch in batches] == [True] * alone + [False] * (18 - alone)
    assert all(max(batch) < 10 for batch in batches[alone:])


@pytest.mark.parametrize("injection", [Injection(share=0.5), Injection(first=0.5)])
def test_images_of_a_kind_are_used_equally_often(injection):
    times = Counter(place for epoch in injected(injection) for batch in epoch for place in batch)
    for kind in (range(10), range(10, 17)):
        found = [times[place] for place in kind]
        assert max(found) - min(found) <= 1
        assert min(found) > 0


def test_injected_epochs_depend_on_their_number_alone():
    sampler = InjectedBatches(10, 7, 4, 6, 0, Injection(share=0.5), total=18)
    sampler.set_epoch(2)
    assert list(sampler) == injected(Injection(share=0.5))[2]


def test_places_of_the_kinds_in_a_batch_are_drawn():
    """Mixup pairs neighbours: it must meet pairs of both kinds."""
    first = Counter(batch[0] >= 10 for epoch in injected(Injection(share=0.5), steps=50) for batch in epoch)
    assert 50 < first[True] < 100


def test_global_random_state_is_neither_used_nor_changed():
    lightning.seed_everything(1, verbose=False)
    before = torch.rand(1), np.random.get_state()[2]  # noqa: NPY002
    first = list(epochs(10, 4, 3, 2))
    lightning.seed_everything(1, verbose=False)
    assert (torch.rand(1), np.random.get_state()[2]) == before  # noqa: NPY002
    assert list(epochs(10, 4, 3, 2)) == first


@pytest.mark.parametrize(("length", "sizes"), [(10, [4, 4, 2]), (8, [4, 4]), (3, [3])])
def test_evaluation_takes_all_images_once_in_order(length, sizes):
    batches = list(InOrder(length, 4))
    assert [len(batch) for batch in batches] == sizes
    assert len(InOrder(length, 4)) == len(sizes)
    assert [index for batch in batches for index in batch] == list(range(length))


# The data module


def test_class_indices_are_places_in_classes(pets):
    data = pets()
    assert data.classes == ("cat", "dog")
    assert data.class_indices(np.array(["dog", "cat", "dog"])).tolist() == [1, 0, 1]


def test_every_training_image_comes_with_its_own_label(pets):
    data = pets()
    train = module(data).train_set
    images, labels = train[list(range(len(train)))]
    table = data.split.table[data.split.table["split"] == "train"]
    assert [data.classes[label] for label in labels] == list(table["label"])
    assert torch.equal(images, channels_first(np.asarray(data.cache.images[table.index])))


def test_train_indices_narrow_and_repeat(pets):
    data = pets()
    rows = data.split.rows("train")
    train = module(data, train_indices=np.array([3, 0, 3])).train_set
    assert train.rows.tolist() == rows[[3, 0, 3]].tolist()
    labels = data.split.labels("train")[[3, 0, 3]]
    assert [data.classes[label] for label in train.labels] == list(labels)


@pytest.mark.parametrize(
    ("keys", "steps"),
    [({}, 5), ({"batch_size": 7}, 3), ({"batch_size": 20}, 1), ({"batch_size": 64}, 1), ({"steps_per_epoch": 9}, 9)],
)
def test_steps_are_one_pass_unless_given(pets, keys, steps):
    images = module(pets(), **keys)
    assert len(images.train_set) == 20
    assert len(images.train_dataloader()) == images.steps_per_epoch == steps


def test_injection_adds_to_training_and_keeps_the_steps(pets):
    data = pets()
    images = module(data)
    real = images.train_set[list(range(20))]
    parts = {name: images.part(name)[[0, 1]] for name in ("valid", "test")}
    steps = images.steps_per_epoch
    images.inject(generated(6, size=24))
    assert len(images.train_set) == 26
    assert images.steps_per_epoch == len(images.train_dataloader()) == steps
    assert images.train_set.origin.count("generated") == 6
    added, labels = images.train_set[list(range(20, 26))]
    assert torch.equal(added, channels_first(generated(6, size=24).images))
    assert labels.tolist() == [0] * 6  # cats
    assert same([images.train_set[list(range(20))]], [real])
    for name, before in parts.items():
        assert set(images.part(name).origin) == {"real"}
        assert same([images.part(name)[[0, 1]]], [before])


def test_injected_images_come_through_disk_with_the_splits_hash(pets, tmp_path):
    data = pets()
    made = generated(4)
    write_synthetic(tmp_path / "synthetic", "cat", made.images, [0, 1, 2, 3], "checkpoint", data.split.hash)
    read = read_synthetic(tmp_path / "synthetic", {"cat": 4}, data.split.hash, data.source.stored_channels)
    np.testing.assert_array_equal(read.images, made.images)
    with pytest.raises(ConfigError, match="the GAN may have seen validation or test images"):
        read_synthetic(tmp_path / "synthetic", {"cat": 4}, pets(seed=1).split.hash, 3)


@pytest.mark.parametrize(
    ("keys", "channels", "alike"),
    [({}, 3, False), ({"grey": True}, 3, True), ({"channels": 1}, 1, True), ({"channels": 1, "grey": True}, 1, True)],
)
def test_a_trainer_gets_floats_from_0_to_1_of_the_channels_asked_for(pets, fitted, keys, channels, alike):
    data = pets(**keys)
    batches = fitted(module(data, image_size=20))
    assert [len(batches[name]) for name in ("train", "valid", "predict")] == [5, 1, 2]
    for images, labels in [*batches["train"], *batches["valid"], *(batch[1:] for batch in batches["predict"])]:
        assert images.shape[1:] == (channels, 20, 20)
        assert images.dtype == torch.float32
        assert labels.dtype == torch.int64
        assert labels.shape == images.shape[:1]
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert 0 <= images.min() < 0.5 < images.max() <= 1
        assert torch.equal(images[:, 0], images[:, -1]) == alike


def test_predictions_are_of_validation_then_test_in_the_order_of_the_split(pets, fitted):
    data = pets()
    batches = fitted(module(data))["predict"]
    for place, part in enumerate(("valid", "test")):
        labels = torch.cat([labels for loader, _, labels in batches if loader == place])
        images = torch.cat([images for loader, images, _ in batches if loader == place])
        assert labels.tolist() == data.class_indices(data.split.labels(part)).tolist()
        expected = channels_first(np.asarray(data.cache.images[data.split.rows(part)])).float() / 255
        assert torch.equal(images, expected)


def test_augmentation_is_for_training_only(pets, fitted):
    batches = fitted(module(pets(), augment=torch.zeros_like))
    assert all((images == 0).all() for images, _ in batches["train"])
    assert all((images > 0).any() for images, _ in batches["valid"])
    assert all((images > 0).any() for _, images, _ in batches["predict"])


@pytest.mark.parametrize("grey", [True, False])
def test_augmentation_maps_the_stored_channels_as_bytes(pets, grey):
    seen = []

    def invert(images):
        seen.append(images)
        return 255 - images

    prepared = module(pets(grey=grey), augment=invert)
    images = prepared.train_set[[0, 1]][0]
    torch.testing.assert_close(prepared.prepare_training(images), 1 - prepared.prepare(images))
    assert (seen[0].dtype, seen[0].shape) == (torch.uint8, (2, 1 if grey else 3, 24, 24))


@pytest.mark.parametrize("name", ["none", "traditional", "randaugment"])
def test_preparation_may_be_captured_where_its_augmentation_may(pets, read, name):
    augment = read(f"augment={name}").augment
    assert module(pets(), augment=augment).capturable == augment.capturable


def test_preparation_without_augmentation_may_be_captured(pets):
    assert module(pets()).capturable


def test_each_epoch_is_shuffled_anew_and_the_seed_repeats_it(pets, fitted):
    data = pets()
    first, again, other = (fitted(module(data, seed=seed), 2, predict=False)["train"] for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)
    assert not same(first[:5], first[5:])
    sums = [sorted(image.sum().item() for images, _ in epoch for image in images) for epoch in (first[:5], first[5:])]
    assert sums[0] == sums[1]


def test_worker_processes_give_the_same_batches(pets, fitted):
    one, two = (fitted(module(pets(workers=workers)), 2, predict=False) for workers in (0, 2))
    assert len(one["train"]) == 10
    assert same(one["train"], two["train"])
    assert same(one["valid"], two["valid"])


def test_mixed_batches_reach_a_trainer(pets, fitted):
    images = module(pets(), image_size=20, steps_per_epoch=13)
    images.inject(generated(6, size=16))
    batches = fitted(images, predict=False)["train"]  # 13 batches of 4 are two passes over 20 + 6
    assert sum((labels == 0).sum().item() for _, labels in batches) == 2 * (8 + 6)
    assert sum((labels == 1).sum().item() for _, labels in batches) == 2 * 12


def test_images_are_injected_as_the_plan_says(pets, fitted):
    images = module(pets(), image_size=20, steps_per_epoch=6)
    images.inject(generated(6, size=16), injection=Injection(share=0.5, weight=0.25))
    batches = fitted(images, predict=False)
    assert all(weights.tolist().count(0.25) == 2 for _, _, weights in batches["train"])
    assert all(len(batch) == 2 for batch in batches["valid"])
    images = module(pets(), image_size=20, steps_per_epoch=4)
    images.inject(generated(6, size=16), injection=Injection(first=0.75))  # generated() is of the first class alone
    labels = [labels.tolist() for _, labels in fitted(images, epochs=2, predict=False)["train"]]
    assert labels[:6] == [[0] * 4] * 6
    assert any(1 in batch for batch in labels[6:])


def test_prepare_gives_the_same_split_from_the_same_cache(pets):
    first, second, other = pets(), pets(), pets(seed=1)
    assert first.split.hash == second.split.hash != other.split.hash
    assert first.cache.folder == second.cache.folder == other.cache.folder


def test_drawn_faces_go_all_the_way():
    keys = {"train_per_class": 8, "test_per_class": 3, "counts": {"sad": 3, "fear": 5}, "image_size": 16}
    data = ImageData.prepare(source("faces", **keys), seed=0)
    assert data.classes == ("fear", "sad")
    assert [data.split.counts(part) for part in ("train", "valid", "test")] == [
        {"fear": 5, "sad": 3},
        {"fear": 1, "sad": 1},
        {"fear": 3, "sad": 3},
    ]
    assert module(data, image_size=16).train_set[[0]][0].shape == (1, 3, 16, 16)


@pytest.mark.gpu
def test_on_a_gpu_batches_come_from_its_own_memory(pets, fitted):
    images = module(pets())
    on_cpu = fitted(images)
    on_gpu = fitted(images, accelerator="gpu")
    assert isinstance(images.train_dataloader().dataset, ResidentImages)
    for part in ("train", "valid"):
        for mine, other in zip(on_gpu[part], on_cpu[part], strict=True):
            torch.testing.assert_close(mine[0].cpu(), other[0])
            assert torch.equal(mine[1].cpu(), other[1])
