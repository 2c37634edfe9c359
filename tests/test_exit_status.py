"""What the end of a command says to a shell."""

import os
import subprocess
import sys

import pytest

from fer_experiments.exit_status import run_command_line
from tests.conftest import TINY_FACES


def stopped() -> int:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("command", "status"), [(lambda: 0, 0), (lambda: None, None), (lambda: 2, 2), (stopped, 130)])
def test_the_exit_status_is_the_command_s_own_or_that_of_ctrl_c(command, status, capsys):
    with pytest.raises(SystemExit) as raised:
        run_command_line(command)
    assert raised.value.code == status
    assert capsys.readouterr().err == ("\nstopped\n" if status == 130 else "")


def broken() -> int:
    raise BrokenPipeError("a worker was killed")


def test_another_broken_pipe_is_an_error():
    with pytest.raises(BrokenPipeError, match="a worker was killed"):
        run_command_line(broken)


@pytest.mark.parametrize(
    ("options", "status"),
    [(["--help"], 141), (["--hydra-help"], 141), (["train=cnn", "plan_only=true", *TINY_FACES], 0)],
)
def test_a_reader_that_went_away_ends_the_command_in_silence(tmp_path, options, status):
    read_end, write_end = os.pipe()
    os.close(read_end)  # as `| head` does once it has its lines
    line = [sys.executable, "-m", "fer_experiments", *options]
    done = subprocess.run(line, cwd=tmp_path, stdout=write_end, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (status, "")
