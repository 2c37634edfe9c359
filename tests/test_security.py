"""No file that is read can run code. Code that ran would leave a mark, and there never is one."""

import json
import os
import pickle
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from omegaconf import OmegaConf

from fer_experiments.audit.__main__ import main as audit
from fer_experiments.audit.reference_training import get_or_train_reference_classifier
from fer_experiments.balance import Generate
from fer_experiments.classifier.trained import TrainedClassifier
from fer_experiments.data.cache import open_cache
from fer_experiments.data.prepared import PreparedData
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.predictions import PREDICTIONS_FILE, Predictions
from fer_experiments.export.__main__ import main as export
from fer_experiments.gan.trained import TrainedGenerator
from fer_experiments.generate import main as generate
from fer_experiments.predict import main as predict
from fer_experiments.strict_config import build_config
from fer_experiments.train.config import load_config
from tests.conftest import TINY_FACES, TINY_NETWORKS, source


class Evil:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path):
    yield tmp_path / "mark"
    assert not (tmp_path / "mark").exists(), "code in a file was run"


FORMATS = {
    "torch": lambda evil, path: torch.save({"state_dict": evil, "hyper_parameters": {"provenance": evil}}, path),
    "old torch": lambda evil, path: torch.save(evil, path, _use_new_zipfile_serialization=False),
    "pickle": lambda evil, path: path.write_bytes(pickle.dumps(evil)),
}


@pytest.fixture(params=FORMATS.values(), ids=FORMATS)
def evil(request, tmp_path, mark):
    path = tmp_path / "evil.ckpt"
    request.param(Evil(mark), path)
    return path


def test_the_trap_works(tmp_path):
    pickle.loads(pickle.dumps(Evil(tmp_path / "sprung")))
    assert (tmp_path / "sprung").is_dir()


def test_a_checkpoint_runs_nothing(evil, tmp_path, capsys):
    with pytest.raises(ConfigError, match="is not a checkpoint"):
        TrainedClassifier.load(evil)
    with pytest.raises(ConfigError, match="is not a checkpoint of train=dcgan"):
        TrainedGenerator.load(evil)
    assert predict([str(evil), str(tmp_path)]) == 2
    assert export([str(evil), "--format", "safetensors"]) == 2
    assert generate([str(evil), "--out", str(tmp_path / "images")]) == 2
    assert capsys.readouterr().err.count("is not a checkpoint") == 3


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train=dcgan", "gan.pretrained={}"], r"gan\.pretrained=.*is not a checkpoint of train=dcgan"),
        (["train=cnn", "classifier=resnet18", "classifier.network.weights={}"], r"classifier\.network=.*weights="),
        (["train=dcgan", "encoder=inception", "encoder.weights={}"], r"encoder\.weights=.*is not the weights file"),
    ],
)
def test_a_weights_file_in_the_configuration_runs_nothing(run, evil, overrides, message):
    with pytest.raises(ConfigError, match=message):
        run(*(text.format(evil) for text in overrides))


def test_a_reference_classifier_in_the_cache_runs_nothing(read, tmp_path, mark, monkeypatch):
    monkeypatch.setenv("FER_EXPERIMENTS_CACHE", str(tmp_path / "cache"))
    config = read("trainer=smoke", *TINY_NETWORKS, *TINY_FACES)
    data = PreparedData.prepare(config.data, config.seed)
    get_or_train_reference_classifier(config.audit_settings, data)
    (reference,) = (tmp_path / "cache" / "reference_classifiers").glob("*.pt")
    torch.save(Evil(mark), reference)
    with suppress(ConfigError):  # or it is trained again
        get_or_train_reference_classifier(config.audit_settings, data)


def test_predictions_run_nothing(tmp_path, mark):
    trap = np.array([Evil(mark)], dtype=object)
    np.savez(
        tmp_path / PREDICTIONS_FILE,
        **dict.fromkeys(("test_logits", "test_labels", "test_content_hash", "classes"), trap),
    )
    with pytest.raises(ValueError, match="holds no predictions of test"):
        Predictions.load(tmp_path, "test")


def test_cached_images_run_nothing(two_classes, tmp_path, mark):
    cats = source("folder", root=two_classes, cache_dir=tmp_path / "cache")
    folder = open_cache(cats).folder
    np.save(folder / "images.npy", np.array([Evil(mark)] * 32, dtype=object), allow_pickle=True)
    with suppress(ConfigError):
        assert open_cache(cats).images.dtype == np.uint8  # decoded again


def test_a_result_is_plain_json(run):
    folder = run("train=cnn", "balance=none")
    assert isinstance(json.loads((folder / "result.json").read_text()), dict)
    torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)


def test_code_that_only_a_runs_configuration_names_is_run_if_it_is_trusted_alone(run, tmp_path, mark, capsys):
    folder = run("train=dcgan", "balance.add=16")
    config = folder / "config.yaml"
    lines = [str(folder / "synthetic"), "--split", str(folder / "split.csv"), "--no-usefulness"]
    before = config.read_text()
    evil = f"{{_target_: os.mkdir, path: {mark}}}"
    for changed in (
        before.replace("_target_: fer_experiments.gan.GANConfig", f"_target_: os.mkdir\n  path: {mark}"),
        before.replace("betas:", f"nested: {evil}\n  betas:", 1),
        before.replace("seed: 0", f"seed: [{evil}]", 1),
    ):
        assert changed != before
        config.write_text(changed)
        assert audit(lines) == 2
        assert (
            "names code that is not part of this program, os.mkdir; it is not run unless you say so"
            in capsys.readouterr().err
        )
    target = f"{__name__}.UserBalance"
    config.write_text(before.replace("_target_: fer_experiments.balance.Generate", f"_target_: {target}"))
    assert audit(lines) == 2
    assert audit([*lines, "--trust"]) in (0, 1)


def test_callbacks_and_loggers_of_a_run_are_not_even_imported_by_who_reads_it(run, mark, monkeypatch):
    folder = run("train=dcgan", "balance.add=16")
    config = OmegaConf.load(folder / "config.yaml")
    config.callbacks = {"evil": {"_target_": "os.mkdir", "path": str(mark)}}
    config.logger.evil = {"_target_": "no.such.module.Logger"}
    OmegaConf.save(config, folder / "config.yaml")
    lines = [str(folder / "synthetic"), "--split", str(folder / "split.csv"), "--no-usefulness"]
    assert audit(lines) in (0, 1)


@pytest.mark.parametrize("target", ["fer_experiments.trainer.loggers.resumable.ResumableWandbLogger", "os.mkdir"])
def test_a_group_builds_configurations_alone(target, tmp_path):
    with pytest.raises(ConfigError, match=r"data\._target_=.*: is not a configuration; name a class of conf/data/"):
        build_config("data", {"_target_": target, "folder": str(tmp_path / "x"), "path": str(tmp_path / "x")})
    assert not (tmp_path / "x").exists()


class UserBalance(Generate):
    """A strategy that a user wrote."""


@pytest.mark.parametrize("text", ["${oc.create:'{_target_: os.mkdir, path: x}'}", "\\${oc.env:HOME}"])
def test_a_run_s_configuration_with_an_interpolation_is_refused(run, text):
    folder = run("train=cnn")
    config = OmegaConf.to_container(OmegaConf.load(folder / "config.yaml"))
    config["classifier"]["network"]["dropout"] = text
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ConfigError, match=r"config\.yaml: has an interpolation \(\$\{\.\.\.\}\)"):
        load_config(folder / "config.yaml")
