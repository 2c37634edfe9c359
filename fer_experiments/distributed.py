"""One job on several devices or nodes: every process (rank) runs the whole job and trains on its share of each batch.

Files are written, and work for a single device is done, by rank zero alone: by functions under `on_rank_zero`. All
ranks hold the same weights and the same results; each draws its own random numbers.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
# How long ranks wait while rank zero trains a reference classifier or audits. torch's default is 30 minutes.
TIMEOUT = timedelta(days=7)
_only_rank_zero: ContextVar[bool] = ContextVar("only_rank_zero", default=False)


def world_size() -> int:
    """Return how many ranks take part: 1 without a process group, and inside a function that rank zero runs alone."""
    return 1 if _only_rank_zero.get() or not _is_initialized() else _torch_distributed().get_world_size()


def global_rank() -> int:
    """Return the number of this process among all ranks, 0 without a process group."""
    return _torch_distributed().get_rank() if _is_initialized() else 0


def on_rank_zero(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function so that rank zero alone runs it; every rank returns, or raises, what rank zero does."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        if world_size() == 1:
            return function(*args, **kwargs)
        outcome: list[Any] = [None, None]  # the value, the exception
        if global_rank() == 0:
            with _without_other_ranks():
                try:
                    outcome[0] = function(*args, **kwargs)
                except Exception as error:
                    outcome[1] = error
        _torch_distributed().broadcast_object_list(outcome)
        value, exception = outcome
        if exception is not None:
            raise exception
        return value

    return wrapper


def gather_from_ranks(value: Any) -> list[Any]:
    """Return the values of all ranks, in the order of ranks, on every rank."""
    values = [value] * world_size()
    if world_size() > 1:
        _torch_distributed().all_gather_object(values, value)
    return values


@contextmanager
def _without_other_ranks() -> Iterator[None]:
    """Let `world_size` be 1 inside, since the other ranks wait and would not answer."""
    token = _only_rank_zero.set(True)
    try:
        yield
    finally:
        _only_rank_zero.reset(token)


def _torch_distributed() -> Any:
    return sys.modules["torch.distributed"]


def _is_initialized() -> bool:
    """Whether there is a process group; without torch there is none, and torch is not imported to ask."""
    return "torch.distributed" in sys.modules and _torch_distributed().is_initialized()
