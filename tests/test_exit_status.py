"""What the end of a command says to a shell."""

import pytest

from fer_experiments.exit_status import run_command_line


def stopped() -> int:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("command", "status"), [(lambda: 0, 0), (lambda: None, None), (lambda: 2, 2), (stopped, 130)])
def test_the_exit_status_is_the_command_s_own_or_that_of_ctrl_c(command, status, capsys):
    with pytest.raises(SystemExit) as raised:
        run_command_line(command)
    assert raised.value.code == status
    assert capsys.readouterr().err == ("\nstopped\n" if status == 130 else "")
