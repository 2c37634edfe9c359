"""A job's folder: skipped when done, continued when cut short, emptied on rerun, never another job's."""

import logging
import shutil
import threading
from pathlib import Path

import pytest

from fer_experiments.errors import ConfigError
from fer_experiments.report.status import LOCK, Status, held, state_of
from fer_experiments.train.cnn import TrainCNN

JOB = "train=cnn"


@pytest.fixture
def work(monkeypatch):
    """What jobs do instead of training: append to a file; work.error is raised, once."""

    class Work:
        error: BaseException | None = None
        folders: list[Path] = []  # noqa: RUF012

        def __call__(self, job, config, folder):
            self.folders.append(folder)
            (folder / "work.txt").open("a").write("x")
            error, self.error = self.error, None
            if error is not None:
                raise error

    stub = Work()
    stub.folders = []
    monkeypatch.setattr(TrainCNN, "run", lambda *call: stub(*call))
    return stub


def works(folder: Path) -> int:
    return len((folder / "work.txt").read_text())


def test_the_same_command_again_does_nothing_and_says_where(run, work, caplog):
    folder = run(JOB)
    before = Status.load(folder)
    assert (before.state, before.error, state_of(folder, before)) == ("done", "", "done")
    with caplog.at_level(logging.INFO):
        run(JOB, "trainer.progress=true")
    assert (works(folder), Status.load(folder)) == (1, before)
    assert "finished already (" in caplog.text
    assert f"rerun=true starts over): {folder}" in caplog.text


def test_what_failed_is_tried_again(run, work, tmp_path, caplog):
    work.error = OSError("no \udcff space")
    with pytest.raises(OSError, match="space"):
        run(JOB)
    failed = Status.load(tmp_path / "run")
    assert (failed.state, failed.error) == ("failed", "OSError: no \udcff space")
    with caplog.at_level(logging.INFO):
        run(JOB)
    assert (works(tmp_path / "run"), Status.load(tmp_path / "run").state) == (2, "done")
    assert "failed (OSError: no" in caplog.text


def test_what_was_interrupted_goes_on(run, work, tmp_path, caplog):
    work.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(JOB)
    assert state_of(tmp_path / "run", Status.load(tmp_path / "run")) == "interrupted"
    with caplog.at_level(logging.INFO):
        run(JOB)
    assert (works(tmp_path / "run"), Status.load(tmp_path / "run").state) == (2, "done")
    assert "and was interrupted: " in caplog.text


def test_a_second_process_waits_and_finds_it_done(run, work, tmp_path, caplog, monkeypatch):
    folder, begun = tmp_path / "run", threading.Event()
    folder.mkdir()

    def first() -> None:
        with held(folder / LOCK, lambda: None):
            Status().save(folder)
            begun.set()
            said.wait(20)
            Status().ended().save(folder)

    said = threading.Event()

    def emit(record: logging.LogRecord) -> None:
        if "waiting until it ends" in record.getMessage():
            said.set()

    monkeypatch.setattr(caplog.handler, "emit", emit)  # pytest has one handler for all tests
    other = threading.Thread(target=first)
    other.start()
    begun.wait()
    assert state_of(folder, Status.load(folder)) == "running"
    with caplog.at_level(logging.INFO):
        run(JOB)
    other.join()
    assert said.is_set()
    assert work.folders == []


def test_rerun_starts_over_and_keeps_the_log(run, work):
    folder = run(JOB)
    (folder / "gan").mkdir()
    (folder / "old.log").write_text("said")
    run(JOB, "rerun=true")
    assert (works(folder), (folder / "gan").exists(), (folder / "old.log").read_text()) == (1, False, "said")


def test_the_folder_of_another_configuration_is_refused_unless_rerun(run, work):
    folder = run(JOB)
    with pytest.raises(
        ConfigError,
        match=r"hydra\.run\.dir=.*: holds a run of another configuration \(gan\.epochs=25, seed=0 there\); give "
        r"another hydra\.run\.dir, or rerun=true to start over in it",
    ):
        run(JOB, "seed=3", "gan.epochs=3")
    assert Status.load(folder).state == "done"
    run(JOB, "seed=3", "gan.epochs=3", "rerun=true")
    assert works(folder) == 1


def test_a_run_of_an_earlier_version_is_neither_continued_nor_removed(run, work):
    folder = run(JOB)
    (folder / "status.json").unlink()
    for more in ([], ["rerun=true"]):
        with pytest.raises(ConfigError, match=r"\(seed=0 there\); .* or remove that run yourself"):
            run(JOB, "seed=3", *more)


def test_a_mistake_can_be_put_right_in_the_same_folder(run, work, tmp_path):
    with pytest.raises(ConfigError, match=r"gan\.epochs"):
        run(JOB, "gan.epochs=0")
    assert Status.load(tmp_path / "run").error.startswith("ConfigError: gan.epochs")
    assert works(run(JOB, "gan.epochs=1")) == 1


def test_rerun_removes_nothing_where_others_files_were(run, work, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years")
    folder = run(JOB)
    with pytest.raises(ConfigError, match=r"rerun=true: .* held other files before this job's first run, which would"):
        run(JOB, "rerun=true")
    assert (folder / "thesis.tex").read_text() == "years"


def test_rerun_removes_no_other_job(run, work):
    outer = run(JOB)
    inner = run(JOB, folder=outer / "inner")
    with pytest.raises(ConfigError, match=r"rerun=true: .* holds other jobs, such as .*inner, which would be lost"):
        run(JOB, "rerun=true")
    assert works(inner) == 1
    shutil.rmtree(inner)
    run(JOB, "rerun=true")
    assert works(outer) == 1


def test_a_broken_status_is_named(run, work, tmp_path):
    folder = run(JOB)
    (folder / "status.json").write_text("{")
    with pytest.raises(ValueError, match=r"status\.json: is no status of a job"):
        run(JOB)


def test_rerun_must_be_true_or_false(run, work):
    with pytest.raises(ConfigError, match="rerun=maybe: is true or false"):
        run(JOB, "rerun=maybe")
