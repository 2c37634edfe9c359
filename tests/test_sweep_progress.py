"""The progress of a sweep, at any time of it."""

import time
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from fer_experiments.report.__main__ import main
from fer_experiments.runs.status import LOCK_FILE, Status, hold_lock
from fer_experiments.runs.sweep_progress import SweepPlan, SweepProgress, read_sweep_progress
from tests.results import build_result, write_job, write_result


def write_status(folder: Path, seed: int, state: str, age: float = 0.0, seconds: float | None = None, **more) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    overrides = ["trainer.progress=false", f"seed={seed}"]
    Status(state=state, overrides=overrides, started=time.time() - age, seconds=seconds, **more).save(folder)
    return folder


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Write a sweep of 6 jobs that began 100 s ago, and the status of a job of another sweep.

    One job was done before, two are done since, one failed, one was killed and one has not begun.
    """
    SweepPlan(started=time.time() - 100, total=6, jobs=[[f"seed={seed}"] for seed in range(6)]).save(tmp_path)
    write_status(tmp_path / "a", 0, "done", 1000, 30)
    write_status(tmp_path / "b", 1, "done", 95, 30)
    write_status(tmp_path / "c", 2, "done", 65, 30)
    write_status(tmp_path / "d", 3, "failed", 35, 20, error="OSError: full")
    (tmp_path / "d" / "cnn-faces.log").write_text("")
    write_status(tmp_path / "e", 4, "running", 20)
    write_status(tmp_path / "z", 99, "failed", 35, 20)
    return tmp_path


def test_jobs_are_counted_by_their_status_and_by_their_lock(sweep):
    assert read_sweep_progress(sweep).describe() == "3 of 6 jobs done, 1 failed, 1 interrupted, 1 waiting"
    with hold_lock(sweep / "e" / LOCK_FILE, lambda: None):
        progress = read_sweep_progress(sweep)
    assert progress.describe().startswith("3 of 6 jobs done, 1 running, 1 failed, 1 waiting; about ")
    assert [job.folder for job in progress.failed] == ["d"]


def test_time_left_is_that_of_the_mean_job_as_many_at_a_time_as_before(sweep):
    with hold_lock(sweep / "e" / LOCK_FILE, lambda: None):
        progress = read_sweep_progress(sweep)
    # The mean is 30 s; one waits and one has run for 20 s. In the 100 s jobs took 30 + 30 + 20 + 20 s: one at a time.
    assert progress.seconds_left() == pytest.approx(30 + 10, rel=0.05)
    # Had it begun 50 s ago, jobs would have taken 20 + 20 s of it.
    assert progress.model_copy(update={"started": progress.started + 50}).seconds_left() == pytest.approx(
        40 / (40 / 50), rel=0.05
    )
    assert progress.model_copy(update={"jobs": progress.done, "waiting": 0}).seconds_left() is None
    assert SweepProgress(folder="", jobs=[], waiting=3, started=time.time()).seconds_left() is None


def test_what_failed_before_the_sweep_began_again_is_still_to_be_done(sweep):
    SweepPlan(started=time.time() - 30, total=6, jobs=[[f"seed={seed}"] for seed in range(6)]).save(sweep)
    write_status(sweep / "c", 2, "done", 30, 30)
    progress = read_sweep_progress(sweep)
    # d is tried again and one waits; e began in this sweep. In 30 s jobs took 30 + 20 s.
    assert progress.seconds_left() == pytest.approx((30 + 30) / (50 / 30), rel=0.05)


def test_a_running_sweep_can_be_reported_before_anything_has_finished(tmp_path, capsys, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    SweepPlan(started=time.time(), total=2, jobs=[["seed=0"], ["seed=1"]]).save(tmp_path)
    write_job(tmp_path / "a", "seed=0")
    write_status(tmp_path / "a", 0, "running")
    with hold_lock(tmp_path / "a" / LOCK_FILE, lambda: None):
        assert main([str(tmp_path)]) == 0
    output = capsys.readouterr()
    assert f"{tmp_path}: 0 of 2 jobs done, 1 running, 1 waiting\n  seed=0: running for 0 s" in output.out
    assert "no training of a classifier has finished" in output.err


def test_the_report_shows_how_far_the_sweep_is_and_why_jobs_have_no_result(sweep, capsys):
    for name, seed in (("a", 0), ("b", 1), ("c", 2), ("d", 3), ("e", 4)):
        write_job(sweep / name, f"seed={seed}", seed=seed)
    for name, seed in (("a", 0), ("b", 1), ("c", 2)):
        write_result(sweep / name, build_result("dcgan", seed, 0.7))
    assert main([str(sweep)]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "seed=3: failed: OSError: full (log: " in output
    page = (sweep / "report.html").read_text()
    assert "3 of 6 jobs done, 1 failed, 1 interrupted, 1 waiting" in page
    assert "d: failed: OSError: full" in page
    assert "seed 3, dcgan: OSError: full" in output
    assert "seed 4, dcgan: interrupted, process" in output


def test_jobs_are_planned_as_hydra_s_own_sweeper_takes_them(compose):
    hydra = GlobalHydra.instance().hydra
    line = ["experiment=imbalance_sweep", "seed=range(0,2)", "trainer.progress=false", "balance=glob(mix*)"]
    plan = SweepPlan.from_config(hydra.compose_config("config", line, run_mode=RunMode.MULTIRUN))
    assert plan.total == 6 * 2
    assert plan.jobs[0] == ["balance=mixup", "data.imbalance=1", "experiment=imbalance_sweep", "seed=0"]


def test_a_broken_plan_is_named(tmp_path, capsys):
    (tmp_path / "sweep.json").write_text("{")
    assert main([str(tmp_path)]) == 2
    assert "sweep.json: is not the plan of a sweep" in capsys.readouterr().err
