"""The package, installed from a wheel, runs outside the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import TINY_FACES, TINY_NETWORKS

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a folder with the wheel's content, laid out as pip does it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(build, check=True, capture_output=True)
    site = folder / "site"
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(site)
    return site


def run(installed: Path, where: Path, *line: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *line], cwd=where, env=environment, capture_output=True, text=True, timeout=300
    )


def test_the_wheel_carries_conf_and_the_templates_of_the_page(installed):
    assert (installed / "fer_experiments" / "conf" / "config.yaml").is_file()
    templates = {file.name for file in (ROOT / "fer_experiments" / "report" / "templates").iterdir()}
    assert "page.html.j2" in templates
    assert {file.name for file in (installed / "fer_experiments" / "report" / "templates").iterdir()} == templates


def test_a_job_runs_from_the_wheel_outside_the_checkout(installed, tmp_path):
    done = run(installed, tmp_path, "-m", "fer_experiments", "trainer=smoke", "train=cnn", *TINY_FACES, *TINY_NETWORKS)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("multirun/cnn-faces/*/result.json"))) == 1
    where = run(installed, tmp_path, "-c", "import fer_experiments; print(fer_experiments.__file__)")
    assert where.stdout.startswith(str(installed))


def test_the_console_script_is_the_command_line(installed, tmp_path):
    entry = next(installed.glob("*.dist-info/entry_points.txt")).read_text()
    assert "fer-experiments = fer_experiments.__main__:main" in entry
    call = "import sys; sys.argv = ['fer-experiments', '--help']; from fer_experiments.__main__ import main; main()"
    done = run(installed, tmp_path, "-c", call)
    assert "do generated images help" in done.stdout
