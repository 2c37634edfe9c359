"""How far a study is, by the files that its trainings leave."""

import pytest

from fer_experiments.train import study_progress
from fer_experiments.train.plan.plan import Plan, PlannedTraining
from fer_experiments.train.study_progress import StudyProgress

SEEDS = [3, 4]


class NamedArm:
    def __init__(self, folder: str) -> None:
        self.folder = folder


@pytest.fixture
def clock(monkeypatch):
    """A list with the time in seconds, which a test sets."""
    now = [0.0]
    monkeypatch.setattr(study_progress.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def study(clock, tmp_path):
    """A study whose seeds take 60 s for a GAN and 20 s for each of two classifiers, side by side twice as fast."""
    trainings = [
        PlannedTraining("GAN of angry", 32, 16, 500, 60.0, is_gan=True),
        PlannedTraining("2 classifiers", 32, 16, 500, 40.0),
    ]
    return StudyProgress(Plan({}, trainings, speed_up=2.0), [NamedArm("none"), NamedArm("dcgan")], tmp_path)


def finish(folder, seed: int, *arms: str) -> None:
    for arm in ("gan", *arms):
        place = folder / f"seed_{seed}" / arm
        place.mkdir(parents=True, exist_ok=True)
        (place / "result.json").touch()


def test_at_first_the_plan_says_how_long_it_takes(study, clock):
    assert study.estimate(SEEDS) == (pytest.approx(0.0), pytest.approx(100.0))
    clock[0] = 30.0
    assert study.estimate(SEEDS) == (pytest.approx(0.3), pytest.approx(70.0))
    assert study.describe(SEEDS) == (pytest.approx(0.3), "about 1 min 10 s left")


def test_the_pace_of_what_is_finished_says_how_long_the_rest_takes(study, clock, tmp_path):
    study.estimate(SEEDS)
    clock[0] = 160.0  # where the plan said 80
    finish(tmp_path, 3, "none")
    finish(tmp_path, 4, "none")
    assert study.estimate(SEEDS) == (pytest.approx(0.8), pytest.approx(40.0))
    finish(tmp_path, 3, "dcgan")
    finish(tmp_path, 4, "dcgan")
    clock[0] = 200.0
    assert study.estimate(SEEDS) == (pytest.approx(1.0), pytest.approx(0.0))


def test_what_is_late_is_not_said_to_be_done(study, clock):
    study.estimate(SEEDS)
    clock[0] = 1000.0
    assert study.estimate(SEEDS) == (pytest.approx(0.9), pytest.approx(10.0))


def test_a_continued_study_begins_where_it_was(clock, study, tmp_path):
    finish(tmp_path, 3, "none", "dcgan")
    assert study.estimate(SEEDS) == (pytest.approx(0.5), pytest.approx(50.0))
    clock[0] = 40.0
    finish(tmp_path, 4)  # its GAN alone
    share, left = study.estimate(SEEDS)
    assert (share, left) == (pytest.approx(0.8), pytest.approx(40 * 40 / 60))


def test_seeds_of_an_earlier_start_do_not_hasten_a_later_look(clock, study, tmp_path):
    finish(tmp_path, 3, "none", "dcgan")
    finish(tmp_path, 4, "none", "dcgan")
    assert study.estimate([3]) == (pytest.approx(1.0), pytest.approx(0.0))
    clock[0] = 1.0
    assert study.estimate([3, 4, 5]) == (pytest.approx(2 / 3), pytest.approx(50.0))
