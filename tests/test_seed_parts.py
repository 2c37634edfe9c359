"""The order in which processes take the parts of several seeds, and the order in which the seeds are reported."""

from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from fer_experiments.train import seed_parts
from fer_experiments.train.seed_parts import Part, SeedRun, run_seeds_by_parts

CLASSIFIERS = 3


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
    monkeypatch.setattr(seed_parts, "get_reusable_executor", lambda *_, **__: executor)
    return executor


@pytest.fixture
def calls(monkeypatch):
    """[(kind, seed)] in the order of the calls; seeds have no GAN if `arms` is empty."""
    calls: list[tuple[str, int]] = []

    class PlainRun(SeedRun):
        def __init__(self, settings, arms, folder):
            self.seed, self.arms = settings.seed, arms
            self.outcome = SimpleNamespace(seed=settings.seed, work={})

        def list_parts(self, kind):
            count = {"gan": len(self.arms), "classifiers": CLASSIFIERS}.get(kind, 1)
            return [Part(self.call, (kind,)) for _ in range(count)]

        def call(self, kind):
            calls.append((kind, self.seed))
            if self.seed == 9:
                raise OSError("planted")

        def add(self, kind, value, seconds):
            self.outcome.work[kind] = self.outcome.work.get(kind, 0.0) + seconds

        def finish(self):
            return self.outcome

        @property
        def settings(self):
            return SimpleNamespace(seed=self.seed)

    monkeypatch.setattr(seed_parts, "SeedRun", PlainRun)
    PlainRun.KINDS = SeedRun.KINDS
    return calls


def seeds(*numbers: int) -> list:
    return [SimpleNamespace(seed=number) for number in numbers]


@pytest.mark.usefixtures("executor")
def test_gans_of_the_seeds_that_have_begun_come_before_audits_and_classifiers(calls, tmp_path):
    list(run_seeds_by_parts(seeds(0, 1, 2), ["dcgan"], tmp_path, 2))
    kinds = [kind for kind, _ in calls]
    assert kinds == ["data"] * 3 + ["gan"] * 3 + ["audit"] * 3 + ["classifiers"] * 9
    assert [seed for kind, seed in calls if kind == "classifiers"] == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.mark.usefixtures("executor")
def test_one_seed_more_than_there_are_processes_has_begun_at_a_time(calls, tmp_path):
    outcomes = run_seeds_by_parts(seeds(4, 3, 7, 5, 6), ["dcgan"], tmp_path, 2)
    assert next(outcomes).seed == 4
    assert {seed for _, seed in calls} == {4, 3, 7}
    assert [outcome.seed for outcome in outcomes] == [3, 7, 5, 6]
    first = {seed: calls.index(("data", seed)) for seed in (4, 3, 7, 5, 6)}
    done = {seed: max(place for place, call in enumerate(calls) if call[1] == seed) for seed in first}
    assert first[5] > done[4]
    assert first[6] > done[3]


@pytest.mark.usefixtures("executor")
def test_a_seed_without_gans_goes_on_to_its_audits(calls, tmp_path):
    (outcome,) = run_seeds_by_parts(seeds(0), [], tmp_path, 4)
    assert outcome.work == {"data": 1.0, "audit": 1.0, "classifiers": CLASSIFIERS}
    assert ("gan", 0) not in calls


@pytest.mark.usefixtures("calls")
def test_an_error_ends_the_processes(executor, tmp_path):
    with pytest.raises(OSError, match="planted"):
        list(run_seeds_by_parts(seeds(0, 9), ["dcgan"], tmp_path, 2))
    assert executor.is_killed


@pytest.mark.usefixtures("calls")
def test_a_study_that_asks_for_no_more_seeds_ends_the_processes(executor, tmp_path):
    outcomes = run_seeds_by_parts(seeds(0, 1), ["dcgan"], tmp_path, 2)
    next(outcomes)
    outcomes.close()
    assert executor.is_killed
