"""A GAN is trained once for all jobs that need it, even if they run at the same time."""

import logging
import os
import shutil
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from fer_experiments.data.leak import leak_to_gan
from fer_experiments.data.prepared import PreparedData
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.train.gan import generated_images
from fer_experiments.train.gan.sharing import gan_fingerprint, get_or_train_shared
from fer_experiments.train.settings import RunContext
from tests.conftest import TINY_FACES, TINY_NETWORKS
from tests.processes import start_process
from tests.results import build_result


@pytest.fixture
def trainings(monkeypatch) -> list[Path]:
    """The folders in which GANs were trained."""
    folders: list[Path] = []
    fit = generated_images.fit_gan
    monkeypatch.setattr(generated_images, "fit_gan", lambda *call: folders.append(call[-1]) or fit(*call))
    return folders


def image_files(folder: Path) -> list[bytes]:
    """Return the content of the generated images of a run, in the order of its manifest."""
    synthetic = folder / "synthetic"
    return [(synthetic / file).read_bytes() for file in pd.read_csv(synthetic / "manifest.csv")["file"]]


def settings_with_cache(folder: Path) -> SimpleNamespace:
    """Return the part of the settings that sharing a GAN depends on."""
    return SimpleNamespace(data=SimpleNamespace(cache_dir=folder), context=RunContext(), callbacks={})


def test_jobs_that_need_the_same_gan_train_it_once(run, trainings, tmp_path, caplog):
    first = run("train=dcgan", folder=tmp_path / "first")
    with caplog.at_level(logging.INFO):
        second = run("train=cnn", "balance=dcgan", "balance.add=12", "classifier.epochs=1", folder=tmp_path / "second")
    assert trainings == [first]
    assert f"the GAN of angry was trained before, in {first}" in caplog.text
    assert len(image_files(second / "gan")) == 12
    assert image_files(second / "gan")[:8] == image_files(first)
    trained, shared = Result.load(first), Result.load(second / "gan")
    assert (trained.shared_from, shared.shared_from) == (None, str(first))
    assert (trained.generated, shared.generated) == ({"angry": 8}, {"angry": 12})
    assert (trained.seconds, trained.history) == (shared.seconds, shared.history)
    assert (second / "gan" / "health.json").read_text() == (first / "health.json").read_text()
    assert sorted(path.name for path in (second / "gan" / "samples").iterdir()) == ["epoch_0001.png", "epoch_0002.png"]


def test_a_kept_gan_outlives_its_job_and_is_linked_with_nothing_but_the_generator(run, trainings, tmp_path):
    first = run("train=dcgan", folder=tmp_path / "first")
    size = (first / "checkpoints" / "last.ckpt").stat().st_size
    shutil.rmtree(first)
    second, third = (run("train=dcgan", f"balance.add={n}", folder=tmp_path / str(n)) for n in (3, 4))
    assert trainings == [first]
    files = [folder / "checkpoints" / "last.ckpt" for folder in (second, third)]
    assert files[0].samefile(files[1])
    assert files[0].stat().st_size < size / 3
    assert "optimizer_states" not in torch.load(files[0], weights_only=True)
    pretrained = run("train=dcgan", f"gan.pretrained={files[0]}", folder=tmp_path / "pretrained")
    assert image_files(pretrained)[:3] == image_files(second)


def test_a_kept_gan_is_copied_if_it_cant_be_linked(run, trainings, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("another file system")))
    for number in (3, 4):
        run("train=dcgan", f"balance.add={number}", folder=tmp_path / str(number))
    assert trainings == [tmp_path / "3"]
    assert (tmp_path / "4" / "checkpoints" / "last.ckpt").is_file()


def test_a_half_kept_gan_of_a_killed_process_is_replaced(tmp_path):
    half = tmp_path / "gans" / "key.new"
    half.mkdir(parents=True)
    (half / "result.json").write_text("{")
    settings, first = settings_with_cache(tmp_path), tmp_path / "first"
    for shared_from in (None, str(first)):
        result = get_or_train_shared(settings, "key", "GAN of x", first, lambda: build_result("gan", 0, 0.5))
        assert result.shared_from == shared_from
    assert not half.exists()


def test_rerun_trains_the_gan_again_and_shares_the_new_one(run, trainings, tmp_path):
    run("train=dcgan", folder=tmp_path / "first")
    again = run("train=dcgan", "rerun=true", folder=tmp_path / "first")
    later = run("train=dcgan", "balance.add=3", folder=tmp_path / "later")
    assert trainings == [again, again]
    assert Result.load(again).shared_from is None
    assert Result.load(later).shared_from == str(again)


@pytest.fixture
def fingerprint(read):
    def compute_fingerprint(*overrides: str, leak: bool = False, classes: tuple[str, ...] = ("angry",)) -> str:
        config = read(*TINY_FACES, *TINY_NETWORKS, *overrides)
        data = PreparedData.prepare(config.data, config.seed)
        return gan_fingerprint(config, leak_to_gan(data) if leak else data, list(classes))

    return compute_fingerprint


def test_gans_have_different_fingerprints_if_their_training_differs(fingerprint):
    plain = fingerprint()
    changes = ["seed=1", "gan.latent_dim=7", "data.bottleneck=16", "data.channels=1", "trainer.max_epochs=1",
               "trainer.precision=bf16-mixed", "gan.kid_every=1", "data.faces_seed=1"]  # fmt: skip
    changed = [fingerprint(change) for change in changes]
    changed += [fingerprint(leak=True), fingerprint(classes=("happy",))]
    assert len({plain, *changed}) == 1 + len(changed)
    assert fingerprint("data.bottleneck=32") == plain  # the GAN's own size, at which it sees every image anyway
    assert fingerprint("data.bottleneck=32", "gan.kid_every=1") != fingerprint("gan.kid_every=1")
    changes_with_kid = ["reference_classifier.epochs=7", "gan.checkpoint=best_kid"]
    with_kid = [fingerprint("gan.kid_every=1", change) for change in changes_with_kid]
    assert len({*changed, *with_kid}) == len(changed) + 2


def test_the_number_and_the_use_of_its_images_do_not_change_the_fingerprint_of_a_gan(fingerprint):
    plain = fingerprint()
    for change in ("balance.add=5", "gan.target_class=angry", "classifier.epochs=1", "reference_classifier.epochs=7",
                   "train.seeds=3", "gan.checkpoint_every=1", "augment=traditional"):  # fmt: skip
        assert fingerprint(change) == plain, change


def test_a_cache_that_cant_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    settings = settings_with_cache(tmp_path / "file")
    with pytest.raises(ConfigError, match=r"data\.cache_dir=.*file: can't be written"):
        get_or_train_shared(settings, "key", "GAN of x", tmp_path, lambda: None)


def train_or_share(cache: Path, folder: Path, seconds: float) -> None:
    """Say what a process that needs a GAN does; its training takes `seconds`."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)

    def train() -> Result:
        print("training", flush=True)
        time.sleep(seconds)
        return build_result("gan", 0, 0.5)

    folder.mkdir()
    result = get_or_train_shared(settings_with_cache(cache), "key", "GAN of angry", folder, train)
    print("ends with", result.shared_from, flush=True)


def wait_for_line(file: Path) -> str:
    """Return the first line that a process writes."""
    for _ in range(6000):
        if file.is_file() and "\n" in (text := file.read_text()):
            return text.partition("\n")[0]
        time.sleep(0.02)
    raise TimeoutError(file)


def test_processes_wait_for_the_one_that_trains_but_not_for_a_dead_one(tmp_path):
    def start(name: str, seconds: float) -> BaseProcess:
        folder = tmp_path / name
        return start_process(train_or_share, tmp_path, folder, seconds, folder=tmp_path, output=output_of(name))

    def output_of(name: str) -> Path:
        return tmp_path / f"{name}.txt"

    first = start("first", 600)
    assert wait_for_line(output_of("first")) == "training"
    names = ("second", "third")
    waiting = [start(name, 2) for name in names]
    message = f"the GAN of angry is being trained by process {first.pid} on "
    for name in names:
        assert wait_for_line(output_of(name)).startswith(message)
    first.kill()
    for process in waiting:
        process.join(120)
    outputs = [output_of(name).read_text().splitlines()[1:] for name in names]
    of_trainer, of_sharer = sorted(outputs, reverse=True)
    assert of_trainer == ["training", "ends with None"]
    (trainer,) = {name for name in names if f"in {tmp_path / name}" in of_sharer[0]}
    folder = tmp_path / trainer
    assert of_sharer == [f"the GAN of angry was trained before, in {folder}", f"ends with {folder}"]
