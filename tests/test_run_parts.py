"""The order in which processes take the parts of several seeds, and the order in which the seeds are reported."""

import logging
import os
import time
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from fer_experiments.train import run_parts
from fer_experiments.train.run_parts import Part, run_side_by_side, run_steps

KINDS = ("data", "gan", "audit", "classifiers")


class InlineExecutor:
    """Calls a function when it is submitted."""

    def __init__(self) -> None:
        self.is_killed = False

    def submit(self, call, seed, part):
        future: Future = Future()
        try:
            future.set_result((part.function(*part.arguments), 1.0))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, kill_workers: bool) -> None:
        self.is_killed = kill_workers


@pytest.fixture
def executor(monkeypatch):
    executor = InlineExecutor()
    monkeypatch.setattr(run_parts, "get_reusable_executor", lambda *_, **__: executor)
    monkeypatch.setattr(run_parts, "AHEAD", 1)
    return executor


def list_steps(seed: int, calls: list, gans: int = 1, classifiers: int = 3):
    """Give the parts of a seed that notes its calls as (kind, seed); seed 9 breaks. Return what they have returned."""

    def call(kind: str, place: int) -> str:
        calls.append((kind, seed))
        if seed == 9:
            raise OSError("planted")
        return f"{kind} {place}"

    values = []
    for kind, count in zip(KINDS, (1, gans, 1, classifiers), strict=True):
        timed = yield [Part(call, (kind, place)) for place in range(count)]
        values += [value for value, _ in timed]
    return SimpleNamespace(seed=seed, values=values)


def run(seeds, workers: int = 2, **counts):
    """Run seeds side by side; return the iterator of their outcomes, and the calls so far."""
    calls: list[tuple[str, int]] = []
    return run_side_by_side(seeds, (list_steps(seed, calls, **counts) for seed in seeds), workers), calls


VALUES = ["data 0", "gan 0", "audit 0", "classifiers 0", "classifiers 1", "classifiers 2"]


@pytest.mark.usefixtures("executor")
def test_gans_of_the_seeds_that_have_begun_come_before_audits_and_classifiers():
    outcomes, calls = run([0, 1, 2])
    assert [outcome.values for outcome in outcomes] == [VALUES] * 3
    kinds = [kind for kind, _ in calls]
    assert kinds[-9:] == ["classifiers"] * 9
    assert max(place for place, kind in enumerate(kinds) if kind == "gan") < kinds.index("classifiers")
    assert [seed for kind, seed in calls if kind == "classifiers"] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.mark.usefixtures("executor")
def test_one_seed_more_than_there_are_processes_has_begun_at_a_time():
    outcomes, calls = run([4, 3, 7, 5, 6])
    assert next(outcomes).seed == 4
    assert {seed for _, seed in calls} == {4, 3, 7}
    assert [outcome.seed for outcome in outcomes] == [3, 7, 5, 6]
    first = {seed: calls.index(("data", seed)) for seed in (4, 3, 7, 5, 6)}
    done = {seed: max(place for place, call in enumerate(calls) if call[1] == seed) for seed in first}
    assert first[5] > done[4]
    assert first[6] > done[3]


@pytest.mark.usefixtures("executor")
def test_a_seed_without_gans_goes_on_to_its_audits():
    (outcome,), calls = run([0], workers=4, gans=0)
    assert outcome.values == [value for value in VALUES if value != "gan 0"]
    assert ("gan", 0) not in calls


def test_one_process_runs_the_parts_in_their_order():
    calls: list[tuple[str, int]] = []
    assert run_steps(list_steps(0, calls)).values == VALUES
    assert [kind for kind, _ in calls] == ["data", "gan", "audit", *["classifiers"] * 3]


def test_an_error_ends_the_processes(executor):
    outcomes, _ = run([0, 9])
    with pytest.raises(OSError, match="planted"):
        list(outcomes)
    assert executor.is_killed


def test_a_study_that_asks_for_no_more_seeds_ends_the_processes(executor):
    outcomes, _ = run([0, 1])
    next(outcomes)
    outcomes.close()
    assert executor.is_killed


def _use_memory() -> int:
    """Return the process id, after using and freeing half a gigabyte that the process keeps."""
    block = bytearray(500 * 2**20)
    block[::4096] = b"x" * len(block[::4096])
    time.sleep(1.2)  # loky looks at most once a second
    _kept.append(block)
    return os.getpid()


_kept: list[bytearray] = []


def _log_like_lightning() -> list[str]:
    """Return what this process logs when a Trainer is built."""
    import lightning

    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).addHandler(handler)
    lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    return records


def _list_logging_steps():
    ((records, _),) = yield [Part(_log_like_lightning, ())]
    return records


def test_a_process_does_not_repeat_the_greetings_of_lightning():
    assert list(run_side_by_side([0], iter([_list_logging_steps()]), 2)) == [[]]
    run_parts.get_reusable_executor(2).shutdown(kill_workers=True)


def _list_memory_steps():
    pids = []
    for _ in range(3):
        timed = yield [Part(_use_memory, ()), Part(os.getpid, ())]
        pids += [value for value, _ in timed]
    return pids


def test_a_process_that_has_grown_is_not_replaced():
    (pids,) = run_side_by_side([0], iter([_list_memory_steps()]), 2)
    assert len(set(pids)) <= 2
    run_parts.get_reusable_executor(2).shutdown(kill_workers=True)


@pytest.mark.parametrize(
    ("message", "line"), [("none: 60 angry", "seed 3: none: 60 angry"), ("--- seed 3, arm 1 of 4: none", None)]
)
def test_each_line_names_its_seed_once(message, line):
    record = logging.LogRecord("name", logging.INFO, "file.py", 1, message, (), None)
    assert run_parts.SeedFormatter(3).format(record) == (line or message)
