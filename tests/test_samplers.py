"""Samplers: which images make up each batch, in an order that the seed and the epoch alone decide."""

from collections import Counter

import lightning
import numpy as np
import pytest
import torch

from fer_experiments.data.injection import Injection
from fer_experiments.data.samplers import EpochBatches, InjectedBatches, SequentialBatches


def epochs(length, batch_size, steps, count, seed=0):
    sampler = EpochBatches(length, batch_size, steps, seed)
    for epoch in range(count):
        sampler.set_epoch(epoch)
        yield list(sampler)


@pytest.mark.parametrize(
    ("length", "batch_size", "steps"), [(10, 4, 3), (10, 5, 2), (7, 64, 1), (3, 2, 50), (100, 8, 1), (1, 1, 1)]
)
def test_an_epoch_has_exactly_the_given_number_of_full_batches(length, batch_size, steps):
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
    in_order = list(epochs(10, 4, 3, 6))
    sampler = EpochBatches(10, 4, 3, 0)
    for epoch in (4, 0, 2):
        sampler.set_epoch(epoch)
        assert list(sampler) == list(sampler) == in_order[epoch]
    assert len({str(batches) for batches in in_order}) == 6
    assert in_order != list(epochs(10, 4, 3, 6, seed=1))


# InjectedBatches: images 0 to 9 are real, 10 to 16 generated


def injected(injection: Injection, batch_size: int = 4, steps: int = 6, epochs: int = 3) -> list[list[list[int]]]:
    """Return the batches of each epoch."""
    sampler = InjectedBatches(10, 7, batch_size, steps, 0, injection, total=steps * epochs)
    batches = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        batches.append(list(sampler))
    return batches


@pytest.mark.parametrize(("fraction", "each"), [(0.25, 1), (0.5, 2), (0.4, 2), (0.01, 0)])
def test_every_batch_has_the_given_fraction_of_generated_images(fraction, each):
    batches = [batch for epoch in injected(Injection(generated_fraction=fraction)) for batch in epoch]
    assert len(batches) == 18
    assert all(len(batch) == 4 and sum(place >= 10 for place in batch) == each for batch in batches)


@pytest.mark.parametrize(("fraction", "steps"), [(1 / 3, 6), (0.5, 9), (0.05, 1), (0.95, 17)])
def test_pretraining_has_generated_images_alone_and_the_rest_has_real_ones_alone(fraction, steps):
    batches = [batch for epoch in injected(Injection(pretrain_fraction=fraction)) for batch in epoch]
    assert [min(batch) >= 10 for batch in batches] == [True] * steps + [False] * (18 - steps)
    assert all(max(batch) < 10 for batch in batches[steps:])


@pytest.mark.parametrize("injection", [Injection(generated_fraction=0.5), Injection(pretrain_fraction=0.5)])
def test_images_of_a_kind_are_used_equally_often(injection):
    times = Counter(place for epoch in injected(injection) for batch in epoch for place in batch)
    for kind in (range(10), range(10, 17)):
        counts = [times[place] for place in kind]
        assert max(counts) - min(counts) <= 1
        assert min(counts) > 0


def test_injected_epochs_depend_on_their_number_alone():
    sampler = InjectedBatches(10, 7, 4, 6, 0, Injection(generated_fraction=0.5), total=18)
    sampler.set_epoch(2)
    assert list(sampler) == injected(Injection(generated_fraction=0.5))[2]


def test_the_order_of_real_and_generated_images_in_a_batch_is_random():
    """Mixup mixes neighbours, and must mix real and generated images, too."""
    first = Counter(
        batch[0] >= 10 for epoch in injected(Injection(generated_fraction=0.5), steps=50) for batch in epoch
    )
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
    batches = list(SequentialBatches(length, 4))
    assert [len(batch) for batch in batches] == sizes
    assert len(SequentialBatches(length, 4)) == len(sizes)
    assert [index for batch in batches for index in batch] == list(range(length))
