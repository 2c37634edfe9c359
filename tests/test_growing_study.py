"""train.seeds=auto: when a study looks at its results, at which level, and why it stops."""

import time

import numpy as np
import pytest

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.looks import LOOKS, plan_looks
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.sequential import (
    choose_stop,
    look_level,
    probability_to_settle,
)
from fer_experiments.evaluation.verdict import decide_verdicts
from fer_experiments.report.growth import describe_growth, explain_level
from fer_experiments.report.study_record import Growth, StudyRecord
from fer_experiments.train import seed_parts
from fer_experiments.train import seeds as seeds_module
from fer_experiments.train.growing_study import _fits_budget
from fer_experiments.train.plan.plan import Plan, PlannedTraining
from fer_experiments.train.seed_parts import SeedOutcome
from fer_experiments.train.seeds import StudyRun
from tests.results import build_result, build_study, write_training
from tests.simulation import simulate_study


@pytest.mark.parametrize(
    ("max_seeds", "looks"), [(20, (3, 5, 8, 12, 20)), (2, (2,)), (3, (3,)), (10, (3, 5, 8, 10)), (None, LOOKS)]
)
def test_the_last_look_is_at_max_seeds(max_seeds, looks):
    assert plan_looks(max_seeds) == looks


def test_a_single_look_has_the_level_that_was_asked_for():
    assert look_level((7,), 0.95) == 0.95


def test_looks_have_a_level_between_the_one_that_was_asked_for_and_bonferronis():
    levels = [look_level(plan_looks(number), 0.95) for number in (5, 8, 12, 20, None)]
    assert levels == sorted(levels)
    assert levels[0] > 0.95
    assert levels[3] == 0.986  # the golden value in the docstring
    assert all(level <= 1 - 0.05 / count + 0.001 for level, count in zip(levels, (2, 3, 4, 5, 10), strict=True))


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99, 0.998, 0.9999])
def test_every_level_is_corrected(level):
    corrected = look_level((3, 5, 8, 12, 20), level)
    assert level < corrected <= 1 - (1 - level) / 5 + (1 - level) / 10


EVEN = np.arange(1400) % 2


def decide(gain: float, arm: str = "dcgan", **changes):
    """Return the verdicts on a study of three seeds, and its question; `arm` has so much more accuracy than none."""
    arms = simulate_study(np.random.default_rng(3), {"none": 0.8, arm: 0.8 + gain}, 3, EVEN)
    question = Question(**{"level": 0.986} | changes)
    return decide_verdicts(arms, EVEN, question), question


def test_a_study_stops_when_its_verdict_is_settled():
    verdicts, question = decide(0.1)
    assert choose_stop(verdicts, 3, 20, question) == "settled"


def test_a_study_stops_when_more_seeds_of_the_same_images_would_not_settle_it():
    verdicts, question = decide(0)
    assert verdicts[0].verdict == "undecided"
    assert choose_stop(verdicts, 3, 20, question) == "hopeless"
    assert choose_stop(verdicts, 20, 20, question) == "max_seeds"


def test_a_study_goes_on_while_more_seeds_may_settle_it():
    verdicts, question = decide(0.03)
    assert verdicts[0].verdict == "undecided"
    assert (
        0.1 < probability_to_settle(verdicts[0], 1, 4, question) < probability_to_settle(verdicts[0], 1, 20, question)
    )
    assert choose_stop(verdicts, 3, 20, question) is None


def test_more_seeds_may_show_equivalence_only_if_they_are_five_and_the_margin_is_wide():
    verdicts, question = decide(0, margin=0.2)
    assert verdicts[0].verdict == "undecided"  # under five seeds never equivalent
    assert probability_to_settle(verdicts[0], 1, 20, question) > 0.9
    assert probability_to_settle(verdicts[0], 1, 4, question) < 0.1


def test_simple_arms_are_asked_about_only_without_generated_ones():
    simple, question = decide(0, arm="oversample")
    assert choose_stop(simple, 3, 20, question) == "hopeless"
    generated, question = decide(0.1)
    assert choose_stop(generated + simple, 3, 20, question) == "settled"


def test_an_arm_without_any_comparison_is_never_settled():
    verdicts = decide_verdicts(simulate_study(np.random.default_rng(3), {"dcgan": 0.8}, 3, EVEN), EVEN, Question())
    assert probability_to_settle(verdicts[0], 1, 20, Question()) == 0


def run_seeds_by(run_seed):
    """Return what stands for seed_parts.run_seeds; run_seed(settings, arms, folder) gives the outcome of a seed."""
    return lambda seeds, arms, folder, workers: (run_seed(settings, arms, folder) for settings in seeds)


@pytest.fixture
def grow(run, monkeypatch):
    """grow(scores of dcgan, *overrides) -> the record; none has 0.7. seconds: of a seed, by a clock of its own."""
    trained: list[int] = []

    def grow_(scores, *overrides: str, seconds: float = 0.0, killed_before: int | None = None):
        def run_seed(settings, arms, folder):
            if settings.seed == killed_before:
                raise KeyboardInterrupt
            outcome = SeedOutcome(folder / f"seed_{settings.seed}", work={"classifiers": seconds or 1.0})
            trained.append(settings.seed)
            for arm, score in (("none", 0.7), ("dcgan", scores[settings.seed % len(scores)])):
                result = build_result(arm, settings.seed, score)
                write_training(result, outcome.folder / arm, score, images=2000)
                outcome.results.append(result)
            (outcome.folder / "data.json").write_text("{}")
            return outcome

        monkeypatch.setattr(seed_parts, "run_seeds", run_seeds_by(run_seed))
        clock = iter(range(10**6))
        if seconds:
            monkeypatch.setattr(seeds_module.time, "monotonic", lambda: seconds * len(set(trained)) + next(clock) / 1e6)
        folder = run("train.arms=[none,dcgan]", "train.seeds=auto", "train.workers=1", *overrides)
        return StudyRecord.load(folder)

    grow_.trained = trained
    return grow_


@pytest.mark.usefixtures("blank_figures")
class TestGrowingStudy:
    def test_it_stops_at_the_first_look_that_settles_it(self, grow):
        record = grow([0.9, 0.91, 0.89])
        assert record.growth == Growth(level=0.95, looks=[3, 5, 8, 12, 20], budget=1800.0, stop="settled")
        assert (record.seeds, grow.trained) == ([0, 1, 2], [0, 1, 2])
        assert record.question.level == 0.986

    def test_it_stops_at_max_seeds(self, grow):
        record = grow([0.70, 0.76, 0.73], "train.max_seeds=3", "seed=5")
        assert (record.growth.stop, record.seeds) == ("max_seeds", [5, 6, 7])

    def test_it_is_looked_at_again_at_the_next_look(self, grow):
        record = grow([0.70, 0.78, 0.72, 0.78, 0.77])
        assert record.growth.stop == "settled"
        assert len(record.seeds) in (5, 8, 12)

    def test_it_begins_no_seed_that_exceeds_the_budget(self, grow):
        record = grow([0.70, 0.76, 0.73], "train.budget=25s", seconds=10.0)
        assert (record.growth.stop, record.growth.budget, record.seeds) == ("budget", 25.0, [0, 1])

    def test_the_first_seed_is_trained_whatever_it_costs(self, grow):
        assert grow([0.9], "train.budget=1s", seconds=10.0).seeds == [0]

    def test_the_same_command_with_a_larger_budget_continues_and_with_a_smaller_one_does_not(self, grow):
        grow([0.70, 0.76, 0.73], "train.budget=25s", seconds=10.0)
        grow([0.70, 0.76, 0.73], "train.budget=20s", seconds=10.0)
        assert grow.trained == [0, 1]
        record = grow([0.70, 0.76, 0.73], "train.budget=1h", "train.max_seeds=20")
        assert record.growth.stop != "budget"
        assert len(record.seeds) >= 3

    def test_killed_and_continued_it_takes_the_same_decisions(self, grow):
        scores = [0.70, 0.78, 0.72, 0.78, 0.77]
        with pytest.raises(KeyboardInterrupt):
            grow(scores, "train.budget=10h", killed_before=4)
        continued = grow(scores, "train.budget=10h")
        whole = grow(scores, "rerun=true")
        assert continued.seeds == whole.seeds
        assert continued.growth.stop == whole.growth.stop == "settled"

    def test_a_killed_study_gets_its_finished_seeds_back_whatever_the_budget(self, grow):
        with pytest.raises(KeyboardInterrupt):
            grow([0.70, 0.76, 0.73], "train.budget=35s", killed_before=2, seconds=10.0)
        record = grow([0.70, 0.76, 0.73], "train.budget=1s", seconds=10.0)
        assert (record.growth.stop, record.seeds) == ("budget", [0, 1])

    def test_killed_again_while_it_reads_its_finished_seeds_it_still_gets_them_back(self, grow):
        keys = "train.budget=35s", "train.max_seeds=8"
        for killed_before in (2, 1):
            with pytest.raises(KeyboardInterrupt):
                grow([0.70, 0.76, 0.73], *keys, killed_before=killed_before, seconds=10.0)
        record = grow([0.70, 0.76, 0.73], *keys, seconds=10.0)
        assert (record.growth.stop, record.seeds) == ("budget", [0, 1])

    @pytest.mark.parametrize("generated", ["dcgan", "joint"])
    def test_it_stops_if_no_generated_images_could_be_made(self, run, monkeypatch, tmp_path, generated):
        def run_seed(settings, arms, folder):
            outcome = SeedOutcome(folder / f"seed_{settings.seed}", work={"classifiers": 1.0})
            for arm in ("none", "oversample"):
                result = build_result(arm, settings.seed, 0.7)
                write_training(result, outcome.folder / arm, 0.7)
                outcome.results.append(result)
            outcome.failed[f"seed {settings.seed}, {generated}"] = "RuntimeError: no GAN"
            (outcome.folder / "data.json").write_text("{}")
            return outcome

        monkeypatch.setattr(seed_parts, "run_seeds", run_seeds_by(run_seed))
        arms = f"train.arms=[none,oversample,{generated}]"
        with pytest.raises(RuntimeError, match="3 of 9 trainings failed"):
            run(arms, "train.seeds=auto", "train.workers=1", folder=tmp_path / "study")
        folder = tmp_path / "study"
        assert StudyRecord.load(folder).growth.stop == "failed"
        assert "because every arm with generated images has failed" in (folder / "report.html").read_text()


def test_real_trainings_grow_by_two_seeds_side_by_side(run):
    folder = run("train.arms=[none,dcgan]", "train.seeds=auto", "train.max_seeds=3", "train.workers=2", "gan.epochs=1")
    record = StudyRecord.load(folder)
    assert record.seeds == [0, 1, 2]
    assert record.growth.stop in ("settled", "max_seeds")
    assert len(record.results) == 6
    page = (folder / "report.html").read_text()
    assert "It stopped a" in page


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.seeds=auto", "train.budget=soon"], r"train\.budget.*'soon' is not a duration; give 90s, 30min, 2h or"),
        (["train.seeds=auto", "train.budget=0s"], r"train\.budget"),
        (["train.seeds=auto", "train.max_seeds=1"], r"train\.max_seeds"),
        (["train.seeds=maybe"], r"train\.seeds"),
    ],
)
def test_wrong_limits_stop_before_any_work(run, overrides, message):
    with pytest.raises(ConfigError, match=message):
        run(*overrides)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30min", 1800), ("2h", 7200), ("1h30min", 5400), ("1h5s", 3605), ("null", None)]
)
def test_a_budget_is_read_as_it_is_written(read, text, seconds):
    assert read(f"train.budget={text}").train.budget == seconds


def growth(stop, seeds: int = 5, planned: int | None = None, **changes) -> str:
    scores = {arm: dict.fromkeys(range(seeds), score) for arm, score in (("none", 0.7), ("dcgan", 0.7))}
    record = build_study(scores, list(range(seeds)))
    record.seeds = list(range(planned or seeds))
    record.seconds = 60.0 * seeds
    record.growth = Growth(level=0.95, looks=[3, 5, 8, 12, 20], stop=stop, **changes)
    return describe_growth(record, decide(0)[0])


def test_the_report_says_why_it_stopped_and_what_more_would_cost():
    assert growth("settled") == "It stopped after 5 seeds, because every verdict that it was about is reached."
    assert growth("hopeless") == (
        "It stopped after 5 seeds, because up to 20 (train.max_seeds) would most likely leave dcgan undecided."
    )
    assert growth("max_seeds", 20) == (
        "It stopped at 20 seeds (train.max_seeds) with dcgan undecided. 32 seeds would take about 12 min more."
    )
    assert growth("settled", length=0.33).endswith("Every training has 33% of its configured length (train.length).")
    assert growth("max_seeds", 200) == "It stopped at 200 seeds (train.max_seeds) with dcgan undecided."
    assert growth("budget", budget=300.0) == (
        "It stopped after 5 seeds, because train.budget=5 min is spent, with dcgan undecided. 8 seeds, the next "
        "look, would take about 3 min more: the same command with a larger train.budget continues."
    )
    assert growth(None) == "The study goes on: its next look is at 5 seeds."
    assert growth(None, planned=8) == "The study goes on: its next look is at 8 seeds."
    assert describe_growth(build_study({"none": {0: 0.7}}, [0]), []) == ""


def test_the_level_is_explained():
    assert explain_level(Growth(level=0.95, looks=[3, 5, 8]), 0.98) == (
        "The study is looked at after 3, 5 and 8 seeds and may stop at each look: with intervals of 98% all of them "
        "together hold 95%."
    )


def test_time_is_that_of_the_clock(monkeypatch):
    """The clock of the module is replaced above; it must be the one that measures."""
    assert seeds_module.time is time


class PlannedStudy(StudyRun):
    """A study as far as its budget needs it: of two workers, with a time planned and one measured for a seed."""

    def __init__(self, workers: int, planned: float | None, measured: float | None) -> None:
        self.workers = workers
        training = PlannedTraining("classifier", 32, 32, 100, planned)
        self._plan = Plan({"train": {}, "valid": {}, "test": {}}, [training])
        self.record = build_study({"none": {}}, [])
        self.record.work, self.record.finished_seeds = {"classifiers": measured or 0.0}, [0] if measured else []
        self._started = time.monotonic() - 100
        self.finished_before = set()


@pytest.mark.parametrize(
    ("workers", "budget", "planned", "measured", "fits"),
    [
        (2, None, None, None, True),
        (1, None, 10, 10, False),
        (
            2,
            400,
            90,
            None,
            True,
        ),  # 100 s are spent, and 3 seeds take 270 by the plan, 3 / 2 times 190 by the pace
        (2, 400, 110, None, False),
        (2, 400, 90, 190, True),
        (2, 400, 90, 210, False),
        (2, 400, None, None, False),
    ],
)
def test_the_seeds_of_a_look_share_their_parts_if_they_fit_the_budget(workers, budget, planned, measured, fits):
    growth = Growth(level=0.95, looks=[3, 5], budget=budget)
    assert _fits_budget(PlannedStudy(workers, planned, measured), growth, [1, 2, 3]) == fits
