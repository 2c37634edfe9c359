"""How fast steps and batches are, on the CPU or on a GPU that has finished its work at both ends of a measurement."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
WARM_UP = 5  # steps before the first that is timed


class Clock:
    """An iterable that repeats one batch, and times the steps of the loop over it after the first WARM_UP."""

    def __init__(self, batch: Any, steps: int) -> None:
        self.batch, self.steps = batch, steps
        self.start = 0.0
        self.end: float | None = None

    def __iter__(self) -> Iterator[Any]:
        for number in range(WARM_UP + self.steps):
            if number == WARM_UP:
                wait_for_device()
                self.start = time.perf_counter()
            yield self.batch

    def __len__(self) -> int:
        return WARM_UP + self.steps

    def seconds_per_step(self) -> float:
        """Return the mean time of a step. Call it, or `stop`, right after the loop."""
        if self.end is None:
            self.stop()
        assert self.end is not None
        return (self.end - self.start) / self.steps

    def stop(self) -> None:
        """Note the end of the last step."""
        wait_for_device()
        self.end = time.perf_counter()


def wait_for_device() -> None:
    """Wait until a GPU has done all that was launched on it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure_flop_rate(function: Callable[[], Any], repeats: int) -> float:
    """Return the floating-point operations a second of `repeats` calls, after two calls that are not timed."""
    with FlopCounterMode(display=False) as flops:
        function()
    return flops.get_total_flops() / measure_seconds(function, repeats)


def measure_seconds(function: Callable[[], Any], repeats: int) -> float:
    """Return the mean time of `repeats` calls, after one that is not timed."""
    function()
    wait_for_device()
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    wait_for_device()
    return (time.perf_counter() - start) / repeats


def measure_image_rate(read_labels: Callable[[], Iterable[Tensor]]) -> float:
    """Return the images a second in the second of two passes over batches, whose labels `read_labels` gives."""
    sum(len(batch) for batch in read_labels())
    wait_for_device()
    start = time.perf_counter()
    count = sum(len(batch) for batch in read_labels())
    wait_for_device()
    return count / (time.perf_counter() - start)
