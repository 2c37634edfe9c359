"""Which images make up each batch: every arm has as many steps, and epoch e depends on the seed and e alone."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from torch.utils.data import Sampler

from fer_experiments.data.injection import Injection
from fer_experiments.random_streams import RandomStream


def draw_from_permutations(length: int, start: int, stop: int, seed: list[int]) -> np.ndarray:
    """Return elements `start` to `stop` (exclusive) of an endless sequence of permutations of range(length)."""
    if start == stop:
        return np.empty(0, dtype=np.int64)
    passes = range(start // length, (stop - 1) // length + 1)
    sequence = np.concatenate([np.random.default_rng([*seed, n]).permutation(length) for n in passes])
    return sequence[start - passes.start * length :][: stop - start]


class EpochBatches(Sampler[list[int]]):
    """`steps` full batches in each epoch, from an endless sequence of permutations of range(length).

    So every arm makes the same number of optimizer steps, however many images it has, and uses all of them equally
    often.
    """

    def __init__(self, length: int, batch_size: int, steps: int, seed: int) -> None:
        self.length, self.batch_size, self.steps, self.seed = length, batch_size, steps, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches come next; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        count = self.steps * self.batch_size
        start = self.epoch * count
        indices = draw_from_permutations(self.length, start, start + count, [self.seed, RandomStream.REAL_BATCHES])
        yield from indices.reshape(self.steps, self.batch_size).tolist()


class InjectedBatches(EpochBatches):
    """Batches with as many real and generated images as an Injection wants.

    Each kind has an endless sequence of its own, so that all images of a kind are used equally often.
    """

    def __init__(
        self, real: int, generated: int, batch_size: int, steps: int, seed: int, injection: Injection, total: int
    ) -> None:
        """Plan the batches of a training.

        Args:
            real: how many real images there are; their indices are 0 to real - 1.
            generated: how many generated images there are; their indices follow.
            batch_size: of every batch.
            steps: batches in an epoch.
            seed: of the draws.
            injection: how many images of a batch are generated.
            total: steps of the whole training.
        """
        super().__init__(real + generated, batch_size, steps, seed)
        self.real, self.generated = real, generated
        self.pretrain_steps = round(injection.pretrain_fraction * total)
        fraction = 0.0 if injection.pretrain_fraction else injection.generated_fraction or 0.0
        self.generated_per_batch = round(fraction * batch_size)  # after the pretraining

    def __iter__(self) -> Iterator[list[int]]:
        steps = range(self.epoch * self.steps, (self.epoch + 1) * self.steps + 1)
        # How many images of each kind all batches before a step have used.
        used_generated = [self._count_generated_before(step) for step in steps]
        used_real = [step * self.batch_size - count for step, count in zip(steps, used_generated, strict=True)]
        real = draw_from_permutations(self.real, used_real[0], used_real[-1], [self.seed, RandomStream.REAL_BATCHES])
        generated = self.real + draw_from_permutations(
            self.generated, used_generated[0], used_generated[-1], [self.seed, RandomStream.GENERATED_BATCHES]
        )
        rng = np.random.default_rng([self.seed, RandomStream.ORDER_IN_BATCH, self.epoch])  # mixup pairs neighbours
        for (a, b), (c, d) in zip(pairwise(used_real), pairwise(used_generated), strict=True):
            batch = np.concatenate(
                [real[a - used_real[0] : b - used_real[0]], generated[c - used_generated[0] : d - used_generated[0]]]
            )
            yield rng.permutation(batch).tolist()

    def _count_generated_before(self, step: int) -> int:
        """Return how many generated images all batches before a step of the training have."""
        pretrain, rest = min(step, self.pretrain_steps), max(0, step - self.pretrain_steps)
        return pretrain * self.batch_size + rest * self.generated_per_batch


class RankBatches(Sampler[list[int]]):
    """The part of each batch that one device trains on: every `world_size`-th image, from the `rank`-th on."""

    def __init__(self, batches: EpochBatches, rank: int, world_size: int) -> None:
        assert batches.batch_size % world_size == 0
        self.batches, self.rank, self.world_size = batches, rank, world_size

    def set_epoch(self, epoch: int) -> None:
        self.batches.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.batches:
            yield batch[self.rank :: self.world_size]


class SequentialBatches(Sampler[list[int]]):
    """All images once, in order, in batches; the last batch may be smaller."""

    def __init__(self, length: int, batch_size: int) -> None:
        self.length, self.batch_size = length, batch_size

    def __len__(self) -> int:
        return -(-self.length // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        for start in range(0, self.length, self.batch_size):
            yield list(range(start, min(start + self.batch_size, self.length)))
