"""A job is skipped if it has finished, continued if it was interrupted, and never runs in another job's folder."""

import logging
import shutil
import threading
from pathlib import Path

import pytest

from fer_experiments.errors import ConfigError
from fer_experiments.runs.status import LOCK_FILE, Status, hold_lock, job_state
from fer_experiments.train.cnn import TrainCNN
from tests.conftest import write_images

JOB = "train=cnn"


@pytest.fixture
def work(monkeypatch):
    """Let jobs append to a file instead of training; work.error is raised once."""

    class Work:
        error: BaseException | None = None
        folders: list[Path] = []  # noqa: RUF012

        def __call__(self, job, config, folder, plan):
            self.folders.append(folder)
            (folder / "work.txt").open("a").write("x")
            error, self.error = self.error, None
            if error is not None:
                raise error

    stub = Work()
    stub.folders = []
    monkeypatch.setattr(TrainCNN, "run", lambda *arguments: stub(*arguments))
    return stub


def count_runs(folder: Path) -> int:
    return len((folder / "work.txt").read_text())


def test_the_same_command_again_does_nothing_and_names_the_folder(run, work, caplog):
    folder = run(JOB)
    before = Status.load(folder)
    assert (before.state, before.error, job_state(folder, before)) == ("done", "", "done")
    with caplog.at_level(logging.INFO):
        run(JOB, "trainer.progress=true")
    assert (count_runs(folder), Status.load(folder)) == (1, before)
    assert "already finished (" in caplog.text
    assert f"rerun=true starts over, which changed images need): {folder}" in caplog.text


def test_a_failed_job_is_tried_again(run, work, tmp_path, caplog):
    work.error = OSError("no \udcff space")
    with pytest.raises(OSError, match="space"):
        run(JOB)
    failed = Status.load(tmp_path / "run")
    assert (failed.state, failed.error) == ("failed", "OSError: no \udcff space")
    with caplog.at_level(logging.INFO):
        run(JOB)
    assert (count_runs(tmp_path / "run"), Status.load(tmp_path / "run").state) == (2, "done")
    assert "failed (OSError: no" in caplog.text


def test_an_interrupted_job_is_continued(run, work, tmp_path, caplog):
    work.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(JOB)
    assert job_state(tmp_path / "run", Status.load(tmp_path / "run")) == "interrupted"
    with caplog.at_level(logging.INFO):
        run(JOB)
    assert (count_runs(tmp_path / "run"), Status.load(tmp_path / "run").state) == (2, "done")
    assert "and was interrupted: " in caplog.text


def test_a_second_process_waits_and_finds_it_done(run, work, tmp_path, caplog, monkeypatch):
    folder, begun = tmp_path / "run", threading.Event()
    folder.mkdir()

    def first() -> None:
        with hold_lock(folder / LOCK_FILE, lambda: None):
            Status().save(folder)
            begun.set()
            reported.wait(20)
            Status().ended().save(folder)

    reported = threading.Event()

    def emit(record: logging.LogRecord) -> None:
        if "waiting until it ends" in record.getMessage():
            reported.set()

    monkeypatch.setattr(caplog.handler, "emit", emit)  # pytest has one handler for all tests
    thread = threading.Thread(target=first)
    thread.start()
    begun.wait()
    assert job_state(folder, Status.load(folder)) == "running"
    with caplog.at_level(logging.INFO):
        run(JOB)
    thread.join()
    assert reported.is_set()
    assert work.folders == []


def test_matplotlib_says_nothing_of_its_fonts(run, work):
    logging.getLogger("matplotlib").setLevel(logging.NOTSET)
    run(JOB)
    assert not logging.getLogger("matplotlib.font_manager").isEnabledFor(logging.INFO)


def test_rerun_starts_over_and_keeps_the_log(run, work):
    folder = run(JOB)
    (folder / "old.log").write_text("log")
    run(JOB, "rerun=true")
    assert (count_runs(folder), (folder / "old.log").read_text()) == (1, "log")


def test_rerun_removes_nothing_that_came_after_the_job(run, work):
    folder = run(JOB)
    (folder / "faces").mkdir()
    with pytest.raises(ConfigError, match=r"rerun=true: .* holds faces, which was not there when its job ended, which"):
        run(JOB, "rerun=true")
    assert (folder / "faces").is_dir()


def test_a_run_within_its_own_data_is_refused(run, tmp_path):
    for label in ("cat", "dog"):
        write_images(tmp_path / "pets" / label, 12, seed=len(label))
    with pytest.raises(
        ConfigError, match=r"data\.root=.*pets: the run's folder .*multirun lies in it, and would be read"
    ):
        run("train=cnn", "data=folder", f"data.root={tmp_path / 'pets'}", folder=tmp_path / "pets" / "multirun")


def test_the_folder_of_another_configuration_is_refused_unless_rerun(run, work):
    folder = run(JOB)
    with pytest.raises(
        ConfigError,
        match=r"hydra\.run\.dir=.*: holds a run of another configuration \(gan\.epochs=null, "
        r"gan\.images_seen=9600, seed=0 there\); give "
        r"another hydra\.run\.dir, or rerun=true to start over in it",
    ):
        run(JOB, "seed=3", "gan.epochs=3")
    assert Status.load(folder).state == "done"
    run(JOB, "seed=3", "gan.epochs=3", "rerun=true")
    assert count_runs(folder) == 1


def test_a_run_of_an_earlier_version_is_neither_continued_nor_removed(run, work):
    folder = run(JOB)
    (folder / "status.json").unlink()
    for more in ([], ["rerun=true"]):
        with pytest.raises(ConfigError, match=r"\(seed=0 there\); .* or remove that run yourself"):
            run(JOB, "seed=3", *more)


def test_a_wrong_key_can_be_corrected_in_the_same_folder(run, work, tmp_path):
    with pytest.raises(ConfigError, match=r"gan\.epochs"):
        run(JOB, "gan.epochs=0")
    assert not (tmp_path / "run" / Status.file_name).exists()
    assert count_runs(run(JOB, "gan.epochs=1")) == 1


def test_rerun_removes_nothing_from_a_folder_with_other_files(run, work, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years")
    folder = run(JOB)
    with pytest.raises(ConfigError, match=r"rerun=true: .* had other files before this job's first run, which would"):
        run(JOB, "rerun=true")
    assert (folder / "thesis.tex").read_text() == "years"


def test_rerun_removes_no_other_job(run, work):
    outer = run(JOB)
    inner = run(JOB, folder=outer / "inner")
    with pytest.raises(ConfigError, match=r"rerun=true: .* holds other jobs, such as .*inner, which would be lost"):
        run(JOB, "rerun=true")
    assert count_runs(inner) == 1
    shutil.rmtree(inner)
    run(JOB, "rerun=true")
    assert count_runs(outer) == 1


def test_a_broken_status_is_named(run, work, tmp_path):
    folder = run(JOB)
    (folder / "status.json").write_text("{")
    with pytest.raises(ValueError, match=r"status\.json: is not a status of a job"):
        run(JOB)


def test_rerun_must_be_true_or_false(run, work):
    with pytest.raises(ConfigError, match="rerun=maybe: must be true, to start over, or false, to continue"):
        run(JOB, "rerun=maybe")
