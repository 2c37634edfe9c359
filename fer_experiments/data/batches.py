"""Which images make up each batch: as many steps for every arm, and what epoch e gives depends on (seed, e) alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from torch.utils.data import Sampler

REAL_ROW, GENERATED_ROW, WITHIN = 4, 7, 8  # streams of random numbers


@dataclass(frozen=True)
class Injection:
    """How generated images reach the classifier.

    share: of each batch, in (0, 1); None: as many as they are among all images. weight: of such an image in the loss,
    where a real one has 1. first: the share of training, from its start, in which all images are generated, and after
    which none is.
    """

    share: float | None = None
    weight: float = 1.0
    first: float = 0.0

    @property
    def steers(self) -> bool:
        """Whether batches are made up in another way than by drawing from all images alike."""
        return self.share is not None or self.first > 0


def endless(length: int, start: int, stop: int, seed: list[int]) -> np.ndarray:
    """Places `start` to `stop` (exclusive) of an endless row of permutations of range(length)."""
    if start == stop:
        return np.empty(0, dtype=np.int64)
    passes = range(start // length, (stop - 1) // length + 1)
    row = np.concatenate([np.random.default_rng([*seed, n]).permutation(length) for n in passes])
    return row[start - passes.start * length :][: stop - start]


class EpochBatches(Sampler[list[int]]):
    """`steps` full batches an epoch out of an endless row of permutations.

    So every arm makes the same number of optimizer steps, however many images it has, and uses all of them equally
    often.
    """

    def __init__(self, length: int, batch_size: int, steps: int, seed: int) -> None:
        self.length, self.batch_size, self.steps, self.seed = length, batch_size, steps, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch  # called by Lightning

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        size = self.steps * self.batch_size
        row = endless(self.length, self.epoch * size, (self.epoch + 1) * size, [self.seed, REAL_ROW])
        yield from row.reshape(self.steps, self.batch_size).tolist()


class InjectedBatches(EpochBatches):
    """Batches of real images, places 0 to real - 1, and of generated ones, places from `real` on, as `injection` says.

    Each kind is drawn from an endless row of its own, so that all images of a kind are used equally often. total: the
    steps of the whole training.
    """

    def __init__(
        self, real: int, generated: int, batch_size: int, steps: int, seed: int, injection: Injection, total: int
    ) -> None:
        super().__init__(real + generated, batch_size, steps, seed)
        self.real, self.generated = real, generated
        self.alone = round(injection.first * total)
        self.later = 0 if injection.first else round((injection.share or 0.0) * batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        numbers = range(self.epoch * self.steps, (self.epoch + 1) * self.steps + 1)
        used = [self._generated_before(number) for number in numbers]
        seen = [number * self.batch_size - count for number, count in zip(numbers, used, strict=True)]
        real = endless(self.real, seen[0], seen[-1], [self.seed, REAL_ROW])
        made = endless(self.generated, used[0], used[-1], [self.seed, GENERATED_ROW]) + self.real
        rng = np.random.default_rng([self.seed, WITHIN, self.epoch])  # mixup pairs neighbours
        for (a, b), (c, d) in zip(pairwise(seen), pairwise(used), strict=True):
            batch = np.concatenate([real[a - seen[0] : b - seen[0]], made[c - used[0] : d - used[0]]])
            yield rng.permutation(batch).tolist()

    def _generated_before(self, step: int) -> int:
        """Generated images in all batches before number `step` of the training."""
        return min(step, self.alone) * self.batch_size + max(0, step - self.alone) * self.later


class Shares(Sampler[list[int]]):
    """Every `count`-th place of each batch, from place `number` on: what one of `count` devices has of the batches."""

    def __init__(self, batches: EpochBatches, number: int, count: int) -> None:
        assert batches.batch_size % count == 0
        self.batches, self.number, self.count = batches, number, count

    def set_epoch(self, epoch: int) -> None:
        self.batches.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches:
            yield batch[self.number :: self.count]


class InOrder(Sampler[list[int]]):
    """All images once, in order, in batches; the last may be short."""

    def __init__(self, length: int, batch_size: int) -> None:
        self.length, self.batch_size = length, batch_size

    def __len__(self) -> int:
        return -(-self.length // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for start in range(0, self.length, self.batch_size):
            yield list(range(start, min(start + self.batch_size, self.length)))
