"""Generators of the user's own, gan=custom: trained, injected, audited, resumed, kept and loaded as a GAN is."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from fer_experiments.errors import ConfigError, NonFiniteError
from fer_experiments.evaluation.result import Result
from fer_experiments.export.__main__ import main as export
from fer_experiments.gan.trained import TrainedGenerator, _hash_weights
from fer_experiments.generate import main as generate
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.trainer.fingerprint import hash_source
from tests.own_generator import MeanImage, OutOfRange

pytestmark = pytest.mark.usefixtures("blank_figures")
MEAN_IMAGE = "tests.own_generator.MeanImage"
CUSTOM = ["gan=custom", "gan.images_seen=64", "gan.batch_size=8", "gan.image_size=32"]


def custom(name: str = "MeanImage", *overrides: str) -> list[str]:
    return [*CUSTOM, f"gan.module._target_=tests.own_generator.{name}", *overrides]


@pytest.fixture(scope="module")
def trained(run_once):
    return run_once("train=dcgan", *custom("MeanImage", "gan.conditional=true", "+gan.module.noise=0.05"))


def test_it_learns_from_images_in_the_unit_range(trained):
    result = Result.load(trained)
    assert all(row["gan/loss"] > 0 for row in result.history)
    means = torch.load(trained / "checkpoints/last.ckpt", weights_only=True)["state_dict"]["means"]
    assert not torch.equal(means[0], means[1])
    assert means.mean() != 0.5
    assert result.history[-1]["step"] == result.optimizer_steps == 4
    assert {"steps", "diversity"} <= set(json.loads((trained / "health.json").read_text())["values"])


def test_its_images_are_written_and_audited(trained):
    manifest = pd.read_csv(trained / "synthetic" / "manifest.csv")
    assert set(manifest["class"]) == {"angry"}
    assert len([*trained.glob("synthetic/*/*.png")]) == len(manifest)
    assert [*trained.glob("**/audit.json")]
    assert [*trained.glob("samples/epoch_*.png")]


def test_a_checkpoint_runs_no_code_that_it_names(trained, tmp_path, capsys):
    checkpoint = trained / "checkpoints" / "last.ckpt"
    with pytest.raises(ConfigError, match=rf"its generator is {MEAN_IMAGE}, code that .*add --module {MEAN_IMAGE}"):
        TrainedGenerator.load(checkpoint)
    with pytest.raises(ConfigError, match=rf"--module os\.system: the generator of .* is {MEAN_IMAGE}"):
        TrainedGenerator.load(checkpoint, "os.system")
    loaded = TrainedGenerator.load(checkpoint, MEAN_IMAGE)
    assert isinstance(loaded.generator, MeanImage)
    assert loaded.generator.noise == 0.05
    assert not np.array_equal(loaded.sample([0, 1], "angry"), loaded.sample([0, 1], "happy"))
    assert np.array_equal(loaded.sample([1], "angry")[0], loaded.sample([0, 1], "angry")[1])

    command = [str(checkpoint), "--count", "3", "--out", str(tmp_path)]
    assert generate(command) == 2
    assert generate([*command, "--module", MEAN_IMAGE]) == 0
    assert len([*tmp_path.glob("*/*.png")]) == 6
    capsys.readouterr()
    assert export([str(checkpoint), "--format", "safetensors", "--generator"]) == 2
    assert "code that is not run" in capsys.readouterr().err


def test_manual_optimization_and_own_hyperparameters_are_no_obstacle(run, tmp_path):
    folder = run(
        "train=dcgan", *custom("Manual", "gan.kid_every=1", "data.valid_fraction=0.4"), folder=tmp_path / "manual"
    )
    result = Result.load(folder)
    assert all("gan/loss" not in row for row in result.history)
    assert "gan/kid" in result.history[-1]
    assert isinstance(TrainedGenerator.load(folder / "checkpoints/last.ckpt", "tests.own_generator.Manual").label, str)


def test_an_arm_uses_it_and_a_second_generator_stands_beside_it(run, tmp_path):
    arms = 'train.arms=[none,dcgan,"dcgan [gan.module.noise=0.3]","dcgan [balance.gan=dcgan,gan.images_seen=8]"]'
    small = ["train.baseline=none", "train.seeds=1", "classifier.epochs=1"]
    folder = run("train=study", *custom("MeanImage", "+gan.module.noise=0.1"), *small, arms, folder=tmp_path / "study")
    record = StudyRecord.load(folder)
    assert len(record.results) == 4
    assert not record.failed
    names = {place.name for place in (folder / "seed_0").glob("gan*")}
    assert names == {"gan", "gan-gan.module.noise=0.3", "gan-dcgan_gan.images_seen=8"}
    hashes = [pd.read_csv(file)["checkpoint_hash"][0] for file in folder.glob("seed_0/gan*/synthetic/manifest.csv")]
    assert len(set(hashes)) == 3
    assert "gan-dcgan_gan.images_seen=8" in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (
            custom("OutOfRange"),
            ValueError,
            r"OutOfRange\.sample returned values from -\S+ to \S+; images are in \[0, 1\]",
        ),
        (custom("Diverging"), NonFiniteError, "the loss of the generator is not finite in epoch 1"),
        (custom("Missing"), ConfigError, r"gan\.module\._target_=tests\.own_generator\.Missing: can't be imported"),
        ([*CUSTOM, "gan.module._target_=torch.nn.Linear"], ConfigError, r"torch\.nn\.Linear: is not a LightningModule"),
        (custom("MeanImage", "+gan.module.nois=1"), ConfigError, r"gan\.module\.nois: unknown key; did you mean"),
        (
            [*CUSTOM, "gan.module._target_=lightning.LightningModule"],
            ConfigError,
            r"has no method sample\(labels, seeds\)",
        ),
        ([*custom(), "train=joint"], ConfigError, "only a DCGAN is trained together with a classifier"),
        (
            [*custom(), "train=study", 'train.arms=[none,"oversample [gan.images_seen=8]"]'],
            ConfigError,
            r"oversample \[gan\.images_seen=8\]: no generator is trained for it; leave out gan\.images_seen",
        ),
        (
            [*custom(), "train=study", 'train.arms=[none,"dcgan [balance.gan=vae]"]'],
            ConfigError,
            r"balance\.gan=vae: .*vae.*custom, dcgan, diffusion, recipe",
        ),
        (
            [
                "train=study",
                'train.arms=[none,"dcgan [balance.gan=custom, gan.module._target_=tests.own_generator.Lost]"]',
            ],
            ConfigError,
            r"gan\.module\._target_=tests\.own_generator\.Lost\]: .*Lost: can't be imported",
        ),
        (
            ["train=cnn", "balance=dcgan", "balance.gan=custom"],
            ConfigError,
            r"needs gan\.module\._target_; write 'dcgan \[gan",
        ),
    ],
    ids=[
        "range",
        "diverging",
        "missing",
        "no_module",
        "key",
        "no_sample",
        "joint",
        "no_generator",
        "unknown",
        "of_arm",
        "no_target",
    ],
)
def test_what_can_not_work_says_so(run, overrides, error, message):
    job = [] if any(text.startswith("train=") for text in overrides) else ["train=dcgan"]
    with pytest.raises(error, match=message):
        run(*job, *overrides)


def test_images_that_are_no_images_are_named():
    class Flat(OutOfRange):
        def sample(self, labels, seeds):
            return torch.zeros(3)

    from fer_experiments.gan.sampling import sample

    with pytest.raises(ValueError, match=r"Flat\.sample returned \(3,\) for 2 seeds; it must return images \(2, C, S"):
        sample(Flat(None, 1, 32), [0, 1], 1)


def test_a_change_of_its_code_trains_it_again(tmp_path, monkeypatch):
    first = hash_source("gan.module._target_", MEAN_IMAGE)
    copy = tmp_path / "own.py"
    copy.write_text("changed")
    monkeypatch.setattr("inspect.getsourcefile", lambda target: str(copy))
    assert hash_source("gan.module._target_", MEAN_IMAGE) != first


def test_weights_of_any_type_have_a_hash():
    weights = {"a": torch.ones(2, 2, dtype=torch.bfloat16), "b": torch.tensor(True), "c": torch.ones(2, 2).t()}
    assert _hash_weights(weights, None) == _hash_weights(weights, None)
    assert _hash_weights(weights, None) != _hash_weights(weights | {"b": torch.tensor(False)}, None)


def test_an_interrupted_training_continues_as_if_it_had_not_been(run, tmp_path):
    whole = run("train=dcgan", *custom(), folder=tmp_path / "whole")
    weights = torch.load(whole / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    brief = run("train=dcgan", *custom("MeanImage", "trainer.max_epochs=1"), folder=tmp_path / "brief")
    checkpoint = brief / "checkpoints" / "last.ckpt"
    longer = run("train=dcgan", *custom("MeanImage", f"ckpt_path={checkpoint}"), folder=tmp_path / "longer")
    continued = torch.load(longer / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert all(torch.equal(weights[name], value) for name, value in continued.items())
