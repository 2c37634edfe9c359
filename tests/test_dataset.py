"""ImageDataset: the right pixels with the right labels and weights, and real images through the bottleneck."""

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize

from fer_experiments.data.dataset import DeviceImageDataset, ImageDataset

CACHE = np.random.default_rng(0).integers(0, 256, (10, 12, 12, 3), dtype=np.uint8)
ROWS = np.array([7, 1, 4, 9, 2])
LABELS = np.array([0, 1, 1, 0, 1])
GENERATED = np.random.default_rng(1).integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)


def channels_first(pixels: np.ndarray) -> torch.Tensor:
    """pixels (N, S, S, C) -> (N, C, S, S)."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def same(first: list, second: list) -> bool:
    """Whether two lists have the same batches."""
    return len(first) == len(second) and all(
        all(torch.equal(x, y) for x, y in zip(a, b, strict=True)) for a, b in zip(first, second, strict=True)
    )


def test_a_batch_has_the_requested_images_in_that_order():
    images, labels = ImageDataset(CACHE, ROWS, LABELS, size=12)[[3, 0, 3]]
    assert torch.equal(images, channels_first(CACHE[[9, 7, 9]]))
    assert labels.tolist() == [0, 0, 0]
    assert (images.dtype, labels.dtype) == (torch.uint8, torch.int64)


@pytest.mark.parametrize("indices", [[0, 5, 1, 7, 5, 4], [5, 6, 7], [0, 1], [7, 0]])
def test_a_mixed_batch_keeps_order_and_labels(indices):
    labels = np.concatenate([LABELS, [2, 3, 4]])
    images, batch_labels = ImageDataset(CACHE, ROWS, labels, size=12, generated=GENERATED)[indices]
    both = np.concatenate([CACHE[ROWS], GENERATED])
    assert torch.equal(images, channels_first(both[indices]))
    assert batch_labels.tolist() == labels[indices].tolist()
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_origin_is_recorded_for_every_image():
    images = ImageDataset(CACHE, ROWS, np.concatenate([LABELS, [2, 3, 4]]), size=12, generated=GENERATED)
    assert images.origins == ["real"] * 5 + ["generated"] * 3
    assert len(images.origins) == len(images) == 8
    assert ImageDataset(CACHE, ROWS, LABELS, size=12).origins == ["real"] * 5


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_a_batch_has_the_weights_of_its_images_if_they_differ(weight):
    labels = np.concatenate([LABELS, [2, 3, 4]])
    images = ImageDataset(CACHE, ROWS, labels, size=12, generated=GENERATED, weight=weight)
    _, *targets = images[[0, 6, 1]]
    expected = [labels[[0, 6, 1]].tolist()] + ([[1.0, 0.25, 1.0]] if weight != 1 else [])
    assert [values.tolist() for values in targets] == expected
    assert same([DeviceImageDataset(images, torch.device("cpu"))[[0, 6, 1]]], [images[[0, 6, 1]]])


@pytest.mark.parametrize("size", [8, 12, 20])
def test_images_are_resized_with_antialiasing(size):
    images, _ = ImageDataset(CACHE, ROWS, LABELS, size=size)[[0, 1]]
    expected = resize(channels_first(CACHE[ROWS[:2]]), [size, size], InterpolationMode.BILINEAR, antialias=True)
    assert torch.equal(images, expected)


def test_the_bottleneck_resizes_real_images_and_no_generated_ones():
    labels = np.concatenate([LABELS, [0, 0, 0]])
    images = ImageDataset(CACHE, ROWS, labels, size=12, bottleneck=8, generated=GENERATED)[[0, 5]][0]
    small = resize(channels_first(CACHE[ROWS[:1]]), [8, 8], InterpolationMode.BILINEAR, antialias=True)
    assert torch.equal(images[:1], resize(small, [12, 12], InterpolationMode.BILINEAR, antialias=True))
    assert torch.equal(images[1:], channels_first(GENERATED[:1]))


@pytest.mark.parametrize("size", [12, 20])
def test_images_on_a_device_give_the_same_batches(size):
    images = ImageDataset(CACHE, ROWS, np.concatenate([LABELS, [1, 1, 1]]), size, bottleneck=8, generated=GENERATED)
    resident = DeviceImageDataset(images, torch.device("cpu"))
    assert len(resident) == len(images)
    assert resident.images.nbytes == images.bytes
    for indices in ([0, 5, 5, 2], [7], list(range(8))):
        batch = resident[indices]
        assert batch[0].dtype == torch.uint8
        assert batch[0].is_contiguous(memory_format=torch.channels_last)
        assert same([batch], [images[indices]])


def test_the_bottleneck_makes_real_images_equal_to_stored_ones_of_its_size():
    """A real image that is stored as small as generated ones gives the same batch as one through the bottleneck."""
    small = resize(channels_first(CACHE), [8, 8], InterpolationMode.BILINEAR, antialias=True)
    stored = small.permute(0, 2, 3, 1).contiguous().numpy()
    labels = np.zeros(20, dtype=np.int64)
    images, _ = ImageDataset(CACHE, np.arange(10), labels, size=20, bottleneck=8, generated=stored)[list(range(20))]
    assert torch.equal(images[:10], images[10:])


def test_reading_batches_does_not_change_the_cache():
    before = CACHE.copy()
    ImageDataset(CACHE, ROWS, LABELS, size=12)[[0, 1]][0].fill_(0)
    np.testing.assert_array_equal(CACHE, before)
