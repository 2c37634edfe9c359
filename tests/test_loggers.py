"""Loggers that conf/logger names: W&B (offline), MLflow, CSV, TensorBoard; each gets all that a study logs."""

import json
import sqlite3
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.train.open_trainer import Training, describe_training
from fer_experiments.train.settings import RunContext
from fer_experiments.trainer.loggers.build import build_loggers, closing, fill_labels
from fer_experiments.trainer.loggers.event_logger import EventLogger
from fer_experiments.trainer.loggers.pictures import log_picture
from fer_experiments.trainer.loggers.summary import log_outcome, log_settings
from tests.results import build_result
from tests.same_run import curves

STUDY = ["train=study", "train.arms=[none,dcgan]", "gan.epochs=2", "reference_classifier.epochs=1", "seed=3"]
LABELS = {"folder": "F", "study": "S", "name": "N", "arm": "A", "seed": "0"}


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Let W&B talk to nobody and print nothing, and keep MLflow's database in the test's folder."""
    for name, value in {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


def read_records(file: Path) -> Iterator[bytes]:
    """Give the records of a .wandb file, a log as LevelDB's: 7-byte headers in blocks of 32 KiB, after 7 bytes."""
    data, start, record = file.read_bytes(), 7, b""
    while start + 7 <= len(data):
        left = 32768 - start % 32768
        if left < 7:
            start += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, start)
        record += data[start + 7 : start + 7 + length]
        start += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield record
            record = b""


def read_wandb_run(folder: Path) -> dict[str, Any]:
    """Return what W&B would send of the only run in a folder."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    run: dict[str, Any] = {"config": {}, "history": [], "pictures": set()}
    for data in read_records(file):
        record = Record.FromString(data)
        if record.HasField("run"):
            run |= {name: getattr(record.run, name) for name in ("project", "run_group", "job_type", "display_name")}
            run["tags"] = list(record.run.tags)
        for update in [*record.run.config.update, *record.config.update]:
            run["config"][update.key or ".".join(update.nested_key)] = json.loads(update.value_json)
        for item in record.history.item:
            name, value = item.key or ".".join(item.nested_key), json.loads(item.value_json)
            if name.endswith("._type") and value.startswith("image"):
                run["pictures"].add(name.removesuffix("._type"))
            elif isinstance(value, float | int):
                run["history"].append((name, value))
    return run


@pytest.mark.usefixtures("offline")
def test_every_logger_gets_the_curves_pictures_and_settings_of_every_training(run, tmp_path):
    pytest.importorskip("wandb")
    mlflow = pytest.importorskip("mlflow")
    database = f"sqlite:///{tmp_path / 'mlflow.db'}"
    folder = run(
        *STUDY, "logger=many", "logger.wandb.offline=true", f"logger.mlflow.tracking_uri={database}", "tags=[trial]"
    )
    seed_folder = folder / "seed_3"
    study = "/".join(folder.parts[-2:])
    history = Result.load(seed_folder / "none").history
    accuracies = [row["valid/balanced_accuracy"] for row in history]

    assert {tag for tag, _, _ in curves(seed_folder / "none")} >= {"valid/balanced_accuracy", "test/confusion_matrix"}

    table = pd.read_csv(seed_folder / "none" / "csv" / "version_0" / "metrics.csv")
    assert table["valid/balanced_accuracy"].dropna().tolist() == pytest.approx(accuracies)
    assert 0 <= table["test/accuracy"].dropna().item() <= 1
    assert "arm: none" in (seed_folder / "none" / "csv" / "version_0" / "hparams.yaml").read_text()

    wandb_runs = {name: read_wandb_run(seed_folder / name) for name in ("none", "dcgan", "gan")}
    for name, wandb_run in wandb_runs.items():
        assert wandb_run["project"] == "fer_experiments"
        assert wandb_run["run_group"] == study
        assert wandb_run["display_name"] == f"seed_3/{name}"
        assert wandb_run["config"]["seed"] == 3
        assert wandb_run["config"]["gan"]["epochs"] == 2
        assert wandb_run["tags"] == ["trial"]
    assert [wandb_runs[name]["job_type"] for name in wandb_runs] == ["none", "dcgan", "gan"]
    logged = [value for name, value in wandb_runs["none"]["history"] if name == "valid/balanced_accuracy"]
    assert logged == pytest.approx(accuracies)
    assert wandb_runs["none"]["pictures"] == {"test/confusion_matrix"}
    assert wandb_runs["gan"]["pictures"] == {"gan/samples"}
    assert {"gan/loss_generator", "gan/score_real"} <= {name for name, _ in wandb_runs["gan"]["history"]}

    client = mlflow.MlflowClient(database)
    experiment = client.get_experiment_by_name(study)
    runs = {each.data.tags["arm"]: each for each in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"none", "dcgan", "gan"}
    assert {each.data.tags["seed"] for each in runs.values()} == {"3"}
    assert {each.info.status for each in runs.values()} == {"FINISHED"}
    assert runs["gan"].data.params["gan/epochs"] == "2"
    plain = runs["none"]
    points = client.get_metric_history(plain.info.run_id, "valid/balanced_accuracy")
    assert [point.value for point in sorted(points, key=lambda point: point.step)] == pytest.approx(accuracies)
    pictures = client.list_artifacts(plain.info.run_id, "test")
    assert [Path(picture.path).name.startswith("confusion_matrix") for picture in pictures] == [True]
    assert len(client.list_artifacts(runs["gan"].info.run_id, "gan")) == 2  # epochs
    assert len(list((tmp_path / "multirun" / "mlflow").rglob("samples_*.png"))) == 2


@pytest.mark.usefixtures("offline")
def test_a_continued_training_continues_its_runs(tmp_path):
    pytest.importorskip("wandb")
    pytest.importorskip("mlflow")
    nodes = {
        name: {"_target_": f"fer_experiments.trainer.loggers.resumable.{name}", "folder": "{folder}", **keys}
        for name, keys in {
            "ResumableWandbLogger": {"offline": True},
            "ResumableMLFlowLogger": {"tracking_uri": f"sqlite:///{tmp_path / 'mlflow.db'}"},
        }.items()
    }
    versions = []
    for folder in ("a", "a", "b"):
        loggers = build_loggers(nodes, LABELS | {"folder": str(tmp_path / folder)})
        with closing(loggers):
            for logger in loggers:
                logger.log_metrics({"loss": 1.0}, 1)
        versions.append([logger.version for logger in loggers])
    assert versions[0] == versions[1]
    assert not set(versions[1]) & set(versions[2])
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert database.execute("select count(*) from runs").fetchone() == (2,)


def test_a_run_without_loggers_has_its_results(run):
    folder = run("train=cnn", "logger=none")
    assert Result.load(folder).metrics["test"]["images"] > 0
    assert not list(folder.rglob("events.*"))


def test_labels_are_filled_in_and_unknown_ones_are_named():
    assert fill_labels("logger.a", {"x": ["{arm}", 3], "y": {"z": "{study}/{seed}"}}, LABELS) == {
        "x": ["A", 3],
        "y": {"z": "S/0"},
    }
    with pytest.raises(ConfigError, match=r"logger\.a\.x=\{fold\}: braces name a label.*\{folder\}, \{study\}"):
        fill_labels("logger.a", {"x": "{fold}"}, LABELS)


def test_a_training_is_described_by_its_place_in_the_run(read, tmp_path):
    settings = read("train=cnn", "seed=4")
    study = tmp_path / "multirun" / "study"
    training = Training("angry", "none", ("train/", "valid/"), 3, study / "seed_4" / "none")
    assert describe_training(settings.with_context(RunContext(run_folder=study)), training) == {
        "folder": str(training.folder),
        "study": "multirun/study",
        "name": "seed_4/none",
        "arm": "none",
        "seed": "4",
    }
    alone = settings.with_context(RunContext(run_folder=training.folder))
    assert describe_training(alone, training)["name"] == "none"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+logger.mine.save_dir=x"], r"logger\.mine=.*needs a _target_"),
        (["+logger.mine._target_=no.Such"], r"logger\.mine\._target_=no\.Such: can't be imported"),
        (["logger=csv", "+logger.csv.sve_dir=x"], r"logger\.csv\.sve_dir: unknown key; did you mean"),
        (["+callbacks.mine._target_=lightning.Callback", "+callbacks.mine.x=1"], r"callbacks\.mine"),
        (
            ["callbacks=early_stopping", "callbacks.early_stopping.monitor=val/loss"],
            r"callbacks\.early_stopping\.monitor=val/loss: no training measures it; metrics begin with train/, valid/",
        ),
    ],
)
def test_what_cant_be_built_is_refused_before_any_work(read, overrides, message):
    with pytest.raises(ConfigError, match=message):
        read("train=cnn", *overrides)


def test_what_is_no_logger_or_lacks_its_package_is_named(monkeypatch):
    with pytest.raises(ConfigError, match=r"logger\.a\._target_=.*: builds a Counter; name Lightning's Logger"):
        build_loggers({"a": {"_target_": "collections.Counter"}}, LABELS)
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr("lightning.pytorch.loggers.wandb._WANDB_AVAILABLE", False)
    node = {"_target_": "lightning.pytorch.loggers.WandbLogger"}
    with pytest.raises(ConfigError, match=r"logger\.wandb: can't be built: ModuleNotFoundError"):
        build_loggers({"wandb": node}, LABELS)


@pytest.mark.parametrize(("rank", "files"), [(0, 1), (1, 0)])
def test_pictures_are_for_rank_zero_and_for_loggers_that_take_them(tmp_path, monkeypatch, rank, files):
    monkeypatch.setattr(rank_zero_only, "rank", rank)
    loggers = [EventLogger(tmp_path, name="", version=""), CSVLogger(tmp_path)]
    log_picture(loggers, "a/b", np.zeros((4, 4, 3), np.uint8), 1)
    assert len(list(tmp_path.glob("events.*"))) == files


def test_an_outcome_reaches_a_plain_logger(tmp_path):
    logger = CSVLogger(tmp_path, name="", version="")
    log_settings([logger], {"arm": "none"})
    log_outcome([logger], build_result("none", 0, 0.5), {}, {"test_accuracy": 0.5, "kid": 0.1})
    assert pd.read_csv(tmp_path / "metrics.csv")["test/accuracy"].tolist() == [0.5]
    assert {"arm: none", "generated: 0"} <= set((tmp_path / "hparams.yaml").read_text().splitlines())


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(("error", "exit_code"), [(None, 0), (RuntimeError("no"), 1)])
def test_the_run_of_a_training_that_fails_has_failed(tmp_path, error, exit_code):
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    node = {"_target_": "lightning.pytorch.loggers.WandbLogger", "save_dir": "{folder}", "offline": True}
    loggers = build_loggers({"wandb": node}, LABELS | {"folder": str(tmp_path)})
    with pytest.raises(RuntimeError) if error else nullcontext(), closing(loggers):
        loggers[0].log_metrics({"loss": 1.0})
        if error:
            raise error
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    end, codes = time.monotonic() + 20, []
    while not codes and time.monotonic() < end:  # another process of W&B writes the file
        records = [Record.FromString(data) for data in read_records(file)]
        codes = [record.exit.exit_code for record in records if record.HasField("exit")]
        time.sleep(0.1)
    assert codes == [exit_code]
