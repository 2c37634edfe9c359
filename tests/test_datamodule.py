"""ImageDataModule: its batches, and generated images among them."""

import lightning
import numpy as np
import pytest
import torch

from fer_experiments.data.datamodule import ImageDataModule
from fer_experiments.data.dataset import DeviceImageDataset
from fer_experiments.data.injection import Injection
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.synthetic import GeneratedImages, read_synthetic
from fer_experiments.errors import ConfigError
from tests.conftest import source, write_synthetic
from tests.test_dataset import channels_first, same


@pytest.fixture
def pets(two_classes):
    """pets(**keys) -> the PreparedData of two_classes: 8 cats and 12 dogs of 24 x 24 pixels for training."""
    counts = {"cat": 8, "dog": 12}
    return lambda seed=0, **keys: PreparedData.prepare(source("folder", root=two_classes, counts=counts, **keys), seed)


def module(data, **keys):
    return ImageDataModule(data, **{"image_size": 24, "batch_size": 4, "seed": 0} | keys)


def generated(count=6, size=16, channels=3, label="cat"):
    images = np.random.default_rng(5).integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    files = np.array([f"{label}/{number}.png" for number in range(count)])
    return GeneratedImages(images, np.array([label] * count), files)


class Recorder(lightning.LightningModule):
    """A module that records every batch of its Trainer."""

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
    assert images.train_set.origins.count("generated") == 6
    added, labels = images.train_set[list(range(20, 26))]
    assert torch.equal(added, channels_first(generated(6, size=24).images))
    assert labels.tolist() == [0] * 6  # cats
    assert same([images.train_set[list(range(20))]], [real])
    for name, before in parts.items():
        assert set(images.part(name).origins) == {"real"}
        assert same([images.part(name)[[0, 1]]], [before])


def test_injected_images_come_through_disk_with_the_splits_hash(pets, tmp_path):
    data = pets()
    images = generated(4).images
    write_synthetic(tmp_path / "synthetic", "cat", images, [0, 1, 2, 3], "checkpoint", data.split.hash)
    read = read_synthetic(tmp_path / "synthetic", {"cat": 4}, data.split.hash, data.source.stored_channels)
    np.testing.assert_array_equal(read.images, images)
    with pytest.raises(ConfigError, match="the GAN may have seen validation or test images"):
        read_synthetic(tmp_path / "synthetic", {"cat": 4}, pets(seed=1).split.hash, 3)


@pytest.mark.parametrize(
    ("keys", "channels", "alike"),
    [
        ({}, 3, False),
        ({"grayscale": True}, 3, True),
        ({"channels": 1}, 1, True),
        ({"channels": 1, "grayscale": True}, 1, True),
    ],
)
def test_a_trainer_gets_floats_from_0_to_1_with_the_configured_channels(pets, fitted, keys, channels, alike):
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


@pytest.mark.parametrize("grayscale", [True, False])
def test_augmentation_maps_the_stored_channels_as_bytes(pets, grayscale):
    inputs = []

    def invert(images):
        inputs.append(images)
        return 255 - images

    prepared = module(pets(grayscale=grayscale), augment=invert)
    images = prepared.train_set[[0, 1]][0]
    torch.testing.assert_close(prepared.prepare_training(images), 1 - prepared.prepare(images))
    assert (inputs[0].dtype, inputs[0].shape) == (torch.uint8, (2, 1 if grayscale else 3, 24, 24))


def test_each_epoch_has_another_order_and_the_seed_repeats_it(pets, fitted):
    data = pets()
    first, again, different = (fitted(module(data, seed=seed), 2, predict=False)["train"] for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, different)
    assert not same(first[:5], first[5:])
    sums = [sorted(image.sum().item() for images, _ in epoch for image in images) for epoch in (first[:5], first[5:])]
    assert sums[0] == sums[1]


def test_worker_processes_give_the_same_batches(pets, fitted):
    alone, with_workers = (fitted(module(pets(workers=workers)), 2, predict=False) for workers in (0, 2))
    assert len(alone["train"]) == 10
    assert same(alone["train"], with_workers["train"])
    assert same(alone["valid"], with_workers["valid"])


def test_mixed_batches_reach_a_trainer(pets, fitted):
    images = module(pets(), image_size=20, steps_per_epoch=13)
    images.inject(generated(6, size=16))
    batches = fitted(images, predict=False)["train"]  # 13 batches of 4 are two passes over 20 + 6
    assert sum((labels == 0).sum().item() for _, labels in batches) == 2 * (8 + 6)
    assert sum((labels == 1).sum().item() for _, labels in batches) == 2 * 12


def test_images_are_injected_as_the_injection_wants(pets, fitted):
    images = module(pets(), image_size=20, steps_per_epoch=6)
    images.inject(generated(6, size=16), injection=Injection(generated_fraction=0.5, weight=0.25))
    batches = fitted(images, predict=False)
    assert all(weights.tolist().count(0.25) == 2 for _, _, weights in batches["train"])
    assert all(len(batch) == 2 for batch in batches["valid"])
    images = module(pets(), image_size=20, steps_per_epoch=4)
    images.inject(
        generated(6, size=16), injection=Injection(pretrain_fraction=0.75)
    )  # generated() has images of the first class alone
    labels = [labels.tolist() for _, labels in fitted(images, epochs=2, predict=False)["train"]]
    assert labels[:6] == [[0] * 4] * 6
    assert any(1 in batch for batch in labels[6:])


def test_prepare_gives_the_same_split_from_the_same_cache(pets):
    first, second, different = pets(), pets(), pets(seed=1)
    assert first.split.hash == second.split.hash != different.split.hash
    assert first.cache.folder == second.cache.folder == different.cache.folder


def test_drawn_faces_become_batches():
    keys = {"train_per_class": 8, "test_per_class": 3, "counts": {"sad": 3, "fear": 5}, "image_size": 16}
    data = PreparedData.prepare(source("faces", **keys), seed=0)
    assert data.classes == ("fear", "sad")
    assert [data.split.counts(part) for part in ("train", "valid", "test")] == [
        {"fear": 5, "sad": 3},
        {"fear": 1, "sad": 1},
        {"fear": 3, "sad": 3},
    ]
    assert module(data, image_size=16).train_set[[0]][0].shape == (1, 3, 16, 16)


@pytest.mark.gpu
def test_on_a_gpu_batches_come_from_its_memory(pets, fitted):
    images = module(pets())
    on_cpu = fitted(images)
    on_gpu = fitted(images, accelerator="gpu")
    assert isinstance(images.train_dataloader().dataset, DeviceImageDataset)
    for part in ("train", "valid"):
        for batch, expected in zip(on_gpu[part], on_cpu[part], strict=True):
            torch.testing.assert_close(batch[0].cpu(), expected[0])
            assert torch.equal(batch[1].cpu(), expected[1])
