"""The command lines, as a user types them."""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import joblib
import pytest

from tests.conftest import TINY_FACES, TINY_NETWORKS, write_images
from tests.processes import run_module


def command(*arguments: str, where: Path, module: str = "fer_experiments") -> subprocess.CompletedProcess[str]:
    return run_module(module, arguments, where)


def command_in_new_process(*arguments: str, where: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that starts processes, or whose imports matter, as a shell does."""
    line = [sys.executable, "-m", "fer_experiments", *arguments]
    return subprocess.run(line, cwd=where, capture_output=True, text=True, timeout=300)


def test_help_answers_at_once(tmp_path):
    taken = []
    while not taken or (min(taken) >= 1 and len(taken) < 3):  # the machine may be busy
        started = time.monotonic()
        done = command_in_new_process("--help", where=tmp_path)
        taken.append(time.monotonic() - started)
    assert "fer_experiments - do generated images help" in done.stdout
    assert "\n  train: cnn, dcgan, diffusion, evaluate, joint, study\n" in done.stdout
    assert "\n  python -m fer_experiments train=joint " in done.stdout
    assert 'eval "$(fer-experiments -sc install=bash)"' in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 120
    assert min(taken) < 1  # torch alone takes longer; test_the_command_line_imports_no_torch is the exact check


def test_help_beside_an_override_lists_the_keys_that_it_gives(tmp_path):
    done = command("--help", "gan=conditional", where=tmp_path)
    assert "\n  conditional: true\n" in done.stdout


def test_a_sweep_over_epochs_and_latent_size_runs(tmp_path):
    sweep = ["gan.epochs=1,2", "gan.latent_dim=8,16", "accelerator=cpu", "trainer.limit_batches=1", *TINY_NETWORKS]
    done = command("-m", "train=dcgan", *sweep, *TINY_FACES, where=tmp_path)
    assert done.returncode == 0, done.stderr
    results = sorted(tmp_path.glob("multirun/dcgan-faces/*/*/result.json"))
    assert len(results) == 4
    names = [path.parent.name for path in results]
    assert all("gan.epochs=" in name and "gan.latent_dim=" in name for name in names), names


def test_jobs_side_by_side_share_the_cores(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS")  # tests' own; it would win
    sweep = ["seed=0,1", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "trainer=smoke"]
    done = command_in_new_process("-m", "train=cnn", *sweep, *TINY_NETWORKS, *TINY_FACES, where=tmp_path)
    assert done.returncode == 0, done.stderr
    results = [json.loads(path.read_text()) for path in tmp_path.glob("multirun/cnn-faces/*/*/result.json")]
    threads = max(1, joblib.cpu_count() // 2)
    assert [result["device"].endswith(f" {threads} threads)") for result in results] == [True, True]


@pytest.mark.parametrize("option", ["--cfg=job", "--cfg=hydra", "--info=all", "--info=defaults"])
def test_the_configuration_of_one_job_is_shown(tmp_path, option):
    done = command("gan.epochs=7", "train.arms=[none,'dcgan']", option, where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert done.stderr == ""
    sweep = command("-m", "gan.epochs=7,8", *option.split("="), where=tmp_path)
    assert sweep.returncode == 2
    assert sweep.stderr == "fer_experiments: --cfg and --info show one job; leave out -m, and give each key one value\n"


def test_options_may_stand_between_overrides(tmp_path):
    assert command("train=cnn", "--cfg=job", "-p", "seed", "seed=3", where=tmp_path).stdout == "3\n"
    done = command("train=cnn", "-m", "seed=0,1", "plan_only=true", *TINY_FACES, where=tmp_path)
    assert (done.returncode, done.stdout.count("[sweep] \t#")) == (0, 2)


@pytest.fixture
def checkpoint(run):
    return run("train=dcgan") / "checkpoints" / "last.ckpt"


def test_generate_writes_images_with_their_manifest(checkpoint, tmp_path):
    options = ["--count", "5", "--seed", "3", "--out", "images"]
    done = command(str(checkpoint), *options, where=tmp_path, module="fer_experiments.generate")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "images" / "manifest.csv").open()))
    assert [row["seed"] for row in rows] == ["3", "4", "5", "6", "7"]
    assert all((tmp_path / "images" / row["file"]).is_file() for row in rows)


def test_generate_again_gives_the_same_bytes(checkpoint, tmp_path):
    from fer_experiments.generate import main

    for folder in ("a", "b"):
        assert main([str(checkpoint), "--count", "3", "--out", str(tmp_path / folder)]) == 0
    for file in (tmp_path / "a").rglob("*.png"):
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()


def test_generate_refuses_what_is_no_checkpoint(tmp_path, capsys):
    from fer_experiments.generate import main

    (tmp_path / "x.ckpt").write_text("no")
    assert main([str(tmp_path / "x.ckpt"), "--out", str(tmp_path / "out")]) == 2
    assert "x.ckpt: is not a checkpoint of train=dcgan" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_generate_refuses_a_wrong_count(tmp_path, capsys, count):
    from fer_experiments.generate import main

    with pytest.raises(SystemExit) as exit_request:
        main(["x.ckpt", "--out", "out", f"--count={count}"])
    assert exit_request.value.code == 2
    assert "--count: must be" in capsys.readouterr().err


def test_ci_runs_the_readmes_test_line():
    root = Path(__file__).parent.parent
    line = (root / ".ci" / "run").read_text().strip().splitlines()[-1]
    assert line in " ".join((root / "README.md").read_text().split())  # there it goes on in the next line


@pytest.mark.parametrize("data", ["folder", "fer2013", "mma"])  # each reads folders of classes
@pytest.mark.parametrize("sweep", [[], ["-m", "seed=0,1"]])
def test_a_run_within_its_own_data_is_refused_and_leaves_nothing_there(tmp_path, data, sweep):
    for label in ("cat", "dog"):
        write_images(tmp_path / label, 12, seed=len(label))
    result = command(f"data={data}", "data.root=.", "plan_only=true", *sweep, where=tmp_path)
    assert result.returncode == 2
    assert "data.root=.: the run's folder multirun/" in result.stderr
    assert "lies in it, and would be read as a part of the data" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat", "dog"]


@pytest.mark.parametrize("root", ["[a,b]", "3", "${oc.env:NO_SUCH_VARIABLE}", "~no_such_user/images"])
def test_a_root_that_is_no_path_has_one_message(tmp_path, root):
    result = command_in_new_process("data=folder", f"data.root={root}", where=tmp_path)
    assert result.returncode == 2
    assert "Warning" not in result.stderr
    assert result.stderr.startswith("fer_experiments: data.root")
