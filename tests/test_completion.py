"""Completion by the Tab key, as a shell asks for it: fer-experiments -sc query=bash."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.test_early_errors import LIST_HEAVY


@pytest.fixture
def shell(tmp_path):
    """shell(command) -> what bash and a command that is installed as fer-experiments leave."""
    script = tmp_path / "bin" / "fer-experiments"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nfrom fer_experiments.__main__ import main\n\nmain()\n")
    script.chmod(0o755)

    def run(command, **variables):
        path = {"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"}
        line = ["bash", "-c", command]
        environment = os.environ | path | variables
        return subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=60)

    return run


@pytest.mark.parametrize(
    ("line", "shell_name", "suggestions"),
    [
        ("joint=", "bash", "joint=acgan joint=adc joint=ecgan"),
        ("-m gan=recipe gan.ep", "bash", "gan.epochs="),
        ("data=folder data.ro", "zsh", "data.root="),
        ("experiment=pap", "fish", "experiment=paper\nexperiment=paper_protocol"),
    ],
)
def test_files_and_keys_are_suggested(shell, line, shell_name, suggestions):
    done = shell(f"fer-experiments -sc query={shell_name}", COMP_LINE=f"fer-experiments {line}", COMP_POINT="99")
    assert (done.returncode, done.stdout, done.stderr) == (0, suggestions + "\n", "")


@pytest.mark.parametrize("line", ["gan=nothing gan.", "gan=null gan.", "'train.arms=[none, dcgan]' gan.", "--no gan="])
def test_a_line_that_cant_be_completed_is_left_alone(shell, line):
    done = shell("fer-experiments -sc query=bash", COMP_LINE=f"fer-experiments {line}", COMP_POINT="99")
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_after_the_line_of_the_readme(shell):
    done = shell(
        'eval "$(fer-experiments -sc install=bash)"\n'
        'COMP_LINE="fer-experiments train=j" COMP_POINT=23 COMP_CWORD=1\n'
        "hydra_bash_completion\n"
        'echo "${COMPREPLY[@]}"; complete -p fer-experiments'
    )
    assert done.stdout == "train=joint\ncomplete -o default -o nospace -F hydra_bash_completion fer-experiments\n"
    assert done.stderr == ""


def test_a_query_imports_no_torch():
    code = (
        "import sys; sys.argv = ['fer-experiments', '-sc', 'query=bash']\n"
        "from fer_experiments.__main__ import main\n"
        f"try: main()\nfinally: {LIST_HEAVY}"
    )
    environment = os.environ | {"COMP_LINE": "fer-experiments gan.ema", "COMP_POINT": "23"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "gan.ema=\n\n"


def test_python_is_not_the_command_to_complete(tmp_path):
    line = [sys.executable, "-m", "fer_experiments", "-sc", "install=bash"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == (
        "fer_experiments: completion is for the command fer-experiments, not for python: fer-experiments -sc "
        "install=bash\n"
    )
