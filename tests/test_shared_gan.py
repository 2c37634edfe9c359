"""A GAN is trained once for all that need it, also by processes that run at the same time."""

import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from fer_experiments.data.leak import leak_to_gan
from fer_experiments.data.module import ImageData
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.train import dcgan
from fer_experiments.train.shared_gan import gan_fingerprint, share_gan
from tests.conftest import TINY_FACES, TINY_NETWORKS
from tests.results import finished


@pytest.fixture
def trainings(monkeypatch) -> list[Path]:
    """The folders in which GANs were trained."""
    folders: list[Path] = []
    fit = dcgan.fit_gan
    monkeypatch.setattr(dcgan, "fit_gan", lambda *call: folders.append(call[-1]) or fit(*call))
    return folders


def images(folder: Path) -> list[bytes]:
    return [
        (folder / "synthetic" / file).read_bytes() for file in pd.read_csv(folder / "synthetic/manifest.csv")["file"]
    ]


def test_jobs_that_need_one_gan_train_it_once(run, trainings, tmp_path, caplog):
    first = run("train=dcgan", folder=tmp_path / "first")
    with caplog.at_level(logging.INFO):
        second = run("train=cnn", "balance=dcgan", "balance.add=12", "classifier.epochs=1", folder=tmp_path / "second")
    assert trainings == [first]
    assert f"the GAN of angry was trained before, in {first}" in caplog.text
    assert len(images(second / "gan")) == 12
    assert images(second / "gan")[:8] == images(first)
    one, other = Result.load(first), Result.load(second / "gan")
    assert (one.shared_from, other.shared_from) == (None, str(first))
    assert (one.generated, other.generated) == ({"angry": 8}, {"angry": 12})
    assert (one.seconds, one.history) == (other.seconds, other.history)
    assert (second / "gan" / "health.json").read_text() == (first / "health.json").read_text()
    assert sorted(path.name for path in (second / "gan" / "samples").iterdir()) == ["epoch_0001.png", "epoch_0002.png"]


def test_a_kept_gan_outlives_its_job_and_is_linked_without_what_images_need_not(run, trainings, tmp_path):
    first = run("train=dcgan", folder=tmp_path / "first")
    size = (first / "checkpoints" / "last.ckpt").stat().st_size
    shutil.rmtree(first)
    second, third = (run("train=dcgan", f"balance.add={n}", folder=tmp_path / str(n)) for n in (3, 4))
    assert trainings == [first]
    files = [folder / "checkpoints" / "last.ckpt" for folder in (second, third)]
    assert files[0].samefile(files[1])
    assert files[0].stat().st_size < size / 3
    assert "optimizer_states" not in torch.load(files[0], weights_only=True)
    again = run("train=dcgan", f"gan.checkpoint={files[0]}", folder=tmp_path / "again")
    assert images(again)[:3] == images(second)


def test_where_nothing_can_be_linked_it_is_copied(run, trainings, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("another file system")))
    for number in (3, 4):
        run("train=dcgan", f"balance.add={number}", folder=tmp_path / str(number))
    assert trainings == [tmp_path / "3"]
    assert (tmp_path / "4" / "checkpoints" / "last.ckpt").is_file()


def test_what_a_killed_process_left_half_kept_is_of_no_matter(tmp_path):
    half = tmp_path / "gans" / "key.new"
    half.mkdir(parents=True)
    (half / "result.json").write_text("{")
    config = SimpleNamespace(data=SimpleNamespace(cache_dir=tmp_path), gans_since=0.0)
    for shared_from in (None, str(tmp_path / "first")):
        found = share_gan(config, "key", "GAN of x", tmp_path / "first", lambda: finished("gan", 0, 0.5))
        assert found.shared_from == shared_from
    assert not half.exists()


def test_rerun_trains_it_again_and_shares_the_new_one(run, trainings, tmp_path):
    run("train=dcgan", folder=tmp_path / "first")
    again = run("train=dcgan", "rerun=true", folder=tmp_path / "first")
    later = run("train=dcgan", "balance.add=3", folder=tmp_path / "later")
    assert trainings == [again, again]
    assert Result.load(again).shared_from is None
    assert Result.load(later).shared_from == str(again)


@pytest.fixture
def fingerprint(read):
    def found(*overrides: str, leak: bool = False, classes: list[str] = ["angry"]) -> str:  # noqa: B006
        config = read(*TINY_FACES, *TINY_NETWORKS, *overrides)
        data = ImageData.prepare(config.data, config.seed)
        return gan_fingerprint(config, leak_to_gan(data) if leak else data, classes)

    return found


def test_what_the_training_depends_on_tells_gans_apart(fingerprint):
    plain = fingerprint()
    changes = ["seed=1", "gan.latent_dim=7", "data.bottleneck=32", "data.channels=1", "trainer.max_epochs=1",
               "trainer.precision=bf16-mixed", "gan.kid_every=1", "data.faces_seed=1"]  # fmt: skip
    others = [fingerprint(change) for change in changes]
    others += [fingerprint(leak=True), fingerprint(classes=["happy"])]
    assert len({plain, *others}) == 1 + len(others)
    followed = [fingerprint("gan.kid_every=1", more) for more in ("judge.epochs=7", "gan.select=best_kid")]
    assert len({*others, *followed}) == len(others) + 2


def test_what_is_drawn_from_it_and_who_sees_it_does_not(fingerprint):
    plain = fingerprint()
    for change in ("balance.add=5", "gan.target_class=angry", "classifier.epochs=1", "judge.epochs=7", "train.seeds=3",
                   "gan.checkpoint_every=1", "augment=traditional"):  # fmt: skip
        assert fingerprint(change) == plain, change


def test_a_cache_that_cant_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    config = SimpleNamespace(data=SimpleNamespace(cache_dir=tmp_path / "file"), gans_since=0.0)
    with pytest.raises(ConfigError, match=r"data\.cache_dir=.*file: can't be written"):
        share_gan(config, "key", "GAN of x", tmp_path, lambda: None)


PROCESS = """
import logging, sys, time
from pathlib import Path
from types import SimpleNamespace
from fer_experiments.train.shared_gan import share_gan
from tests.results import finished

cache, folder, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)

def train():
    print("training", flush=True)
    time.sleep(seconds)
    return finished("gan", 0, 0.5)

folder.mkdir()
config = SimpleNamespace(data=SimpleNamespace(cache_dir=cache), gans_since=0.0)
print("ends with", share_gan(config, "key", "GAN of angry", folder, train).shared_from, flush=True)
"""


def test_processes_wait_for_the_one_that_trains_and_for_none_that_is_dead(tmp_path):
    def start(name: str, seconds: float) -> subprocess.Popen[str]:
        line = [sys.executable, "-c", PROCESS, str(tmp_path), str(tmp_path / name), str(seconds)]
        return subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)

    first = start("first", 600)
    assert first.stdout.readline() == "training\n"
    others = [start(name, 2) for name in ("second", "third")]
    waits = f"the GAN of angry is being trained by process {first.pid} on "
    for other in others:
        assert other.stdout.readline().startswith(waits)
    first.send_signal(signal.SIGKILL)
    said = sorted((other.communicate(timeout=120)[0].splitlines() for other in others), reverse=True)
    trained, found = said
    assert trained == ["training", "ends with None"]
    (owner,) = {name for name in ("second", "third") if f"in {tmp_path / name}" in found[0]}
    assert found == [f"the GAN of angry was trained before, in {tmp_path / owner}", f"ends with {tmp_path / owner}"]
