"""Files are written completely or not at all, and what the disk refuses is reported."""

import errno
import logging
import os
import resource
import shutil
import signal
import sys

import numpy as np
import pytest

from fer_experiments import __main__ as command_line
from fer_experiments.atomic_write import PARTIAL_PREFIX, atomic_write, atomic_write_files, remove_partial
from fer_experiments.errors import StorageError
from fer_experiments.evaluation.result import Result
from fer_experiments.train.generator import TrainGenerator
from tests.conftest import TINY_FACES


def test_a_file_is_replaced_only_when_it_is_complete(tmp_path):
    path = tmp_path / "a.npz"
    for value in (1, 2):
        with atomic_write(path) as temporary:
            assert temporary.suffix == path.suffix
            np.savez(temporary, value=value)
            assert path.exists() == (value == 2)
        assert np.load(path)["value"] == value
    with pytest.raises(ValueError, match="invalid"), atomic_write(path) as temporary:
        int(f"half of {temporary.write_text('half')}")
    assert np.load(path)["value"] == 2
    assert os.listdir(tmp_path) == ["a.npz"]


def test_several_files_and_their_folder_are_on_the_disk_before_any_takes_its_place(tmp_path, monkeypatch):
    done = []
    replace = os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append("sync"))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("replace"), replace(a, b)))
    with atomic_write_files(tmp_path) as temporary:
        for name in "ab":
            temporary(name).write_text(name)
    assert done == ["sync", "sync", "replace", "replace", "sync"]
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def test_temporary_files_of_killed_processes_are_removed(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / f"{PARTIAL_PREFIX}1-a.png").touch()
    (tmp_path / "deep" / "a.png").touch()
    remove_partial(tmp_path)
    assert os.listdir(tmp_path / "deep") == ["a.png"]


def test_a_full_disk_is_named_with_the_remedy(tmp_path):
    """A limit on the size of a file, which the system reports as it reports a full disk."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    (tmp_path / "big").write_text("as it was")
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        message = r"big: can't be written: File too large; free some space, .*continues"
        with pytest.raises(StorageError, match=message), atomic_write(tmp_path / "big") as temporary:
            temporary.write_bytes(bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (tmp_path / "big").read_text() == "as it was"
    assert os.listdir(tmp_path) == ["big"]


def test_a_folder_that_cant_be_written_is_named_with_the_remedy(tmp_path):
    (tmp_path / "file").touch()
    message = r"file/a\.csv: can't be written: Not a directory; check that the folder .*hydra\.run\.dir"
    with pytest.raises(StorageError, match=message), atomic_write(tmp_path / "file" / "a.csv") as temporary:
        temporary.write_text("")


@pytest.mark.parametrize("file", ["last.ckpt", "00000002.png"])
def test_a_job_continues_after_the_disk_was_full(run, monkeypatch, tmp_path, file):
    replace = os.replace

    def full(source, target):
        if os.fspath(target).endswith(file):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match=rf"{file}|synthetic.*: can't be written: No space left.*continues"):
        run("train=dcgan")
    monkeypatch.undo()
    folder = run("train=dcgan")
    assert Result.load(folder).generated == {"angry": 8}
    assert not list(folder.rglob(f"{PARTIAL_PREFIX}*"))


def test_a_study_stops_at_a_full_disk(run, monkeypatch, tmp_path):
    replace = os.replace

    def full(source, target):
        if os.fspath(target).endswith("none/result.json"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StorageError, match=r"none/result\.json: can't be written"):
        run("train=study", "train.arms=[none,oversample]")
    assert not (tmp_path / "run" / "seed_0" / "oversample").exists()


def run_in_process(arguments, tmp_path, monkeypatch, capsys):
    """Exit status and last line of the command line, run in this process."""
    line = ["fer_experiments", *arguments, f"hydra.run.dir={tmp_path / 'run'}"]
    monkeypatch.setattr(sys, "argv", line)
    handlers = logging.root.handlers
    try:
        with pytest.raises(SystemExit) as exit_request:
            command_line.main()
    finally:
        logging.root.handlers = handlers  # Hydra's write to this test's captured output
    return exit_request.value.code, capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (
            OSError(errno.EROFS, "Read-only file system", "/x/y"),
            1,
            "/x/y: can't be written: Read-only file system; check",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            1,
            "a file: can't be written: No space left on device; free",
        ),
        (KeyboardInterrupt(), 130, "run; the same command continues from what is finished"),
    ],
)
def test_an_error_that_ends_a_job_is_reported_in_a_line(tmp_path, monkeypatch, capsys, error, status, message):
    def broken(*_):
        raise error

    monkeypatch.setattr(TrainGenerator, "run", broken)
    code, line = run_in_process(["train=dcgan", *TINY_FACES], tmp_path, monkeypatch, capsys)
    assert message in line
    assert code == status


def test_a_missing_data_set_is_named(tmp_path, monkeypatch, capsys, two_classes):
    shutil.rmtree(two_classes)
    code, line = run_in_process(["data=folder", f"data.root={two_classes}", "train=cnn"], tmp_path, monkeypatch, capsys)
    assert f"data.root={two_classes}" in line
    assert code == 2


def test_ctrl_c_within_a_training_ends_with_130_and_can_be_continued(run, monkeypatch, tmp_path):
    from fer_experiments.gan.module import DCGAN

    handler = signal.getsignal(signal.SIGINT)
    step, calls = DCGAN.training_step, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(DCGAN, "training_step", interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            run("train=dcgan", "gan.checkpoint_every=1")
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning leaves it ignored
    monkeypatch.undo()
    assert Result.load(run("train=dcgan", "gan.checkpoint_every=1")).optimizer_steps == 4
