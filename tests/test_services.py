"""What W&B and MLflow need beside their keys is missing: the command ends before any work, and says what to do."""

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from fer_experiments.errors import ConfigError
from fer_experiments.trainer.loggers.resumable import ResumableMLFlowLogger
from fer_experiments.trainer.loggers.services import check_services
from tests.conftest import TINY_FACES
from tests.processes import run_module

WANDB = "fer_experiments.trainer.loggers.resumable.ResumableWandbLogger"
MLFLOW = "fer_experiments.trainer.loggers.resumable.ResumableMLFlowLogger"
CLOSED = "http://127.0.0.1:9"  # a port at which nothing listens


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"needs {name}")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        pytest.param(
            ["logger=wandb"],
            "logger.wandb: no login at Weights & Biases (No API key configured. Use `wandb login` to log in); run "
            "wandb login, or write its files into the run's folder alone with logger.wandb.offline=true or WANDB_MODE",
            marks=needs("wandb"),
        ),
        pytest.param(
            ["logger=mlflow", f"logger.mlflow.tracking_uri={CLOSED}"],
            f"logger.mlflow.tracking_uri={CLOSED}: does not answer ([Errno 111] Connection refused); start mlflow",
            marks=needs("mlflow"),
        ),
    ],
)
def test_a_job_without_its_service_ends_before_any_work(tmp_path, monkeypatch, overrides, message):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    done = run_module("fer_experiments", ["train=cnn", "trainer=smoke", *TINY_FACES, *overrides], tmp_path)
    assert done.returncode == 2, done.stderr
    assert f"fer_experiments: {message}" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not list(tmp_path.glob("multirun/*/*/checkpoints"))


@pytest.mark.parametrize(("package", "target"), [("wandb", WANDB), ("mlflow", MLFLOW)])
def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch, package, target):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"logger\.mine: needs {package}; run pip install 'fer-experiments"):
        check_services({"mine": {"_target_": target}})


def fake_wandb(mode: str) -> SimpleNamespace:
    """Return a package that refuses every login."""

    class Error(Exception): ...

    def login(verify: bool) -> None:
        raise Error("invalid key\nand more")

    return SimpleNamespace(Error=Error, login=login, setup=lambda: SimpleNamespace(settings=SimpleNamespace(mode=mode)))


@pytest.mark.parametrize(
    ("mode", "keys"),
    [("offline", {}), ("disabled", {}), ("online", {"offline": True}), ("online", {"mode": "offline"})],
)
def test_wandb_needs_no_login_offline(monkeypatch, mode, keys):
    monkeypatch.setitem(sys.modules, "wandb", fake_wandb(mode))
    check_services({"wandb": {"_target_": WANDB, **keys}})


def test_a_login_that_is_refused_is_an_error_for_lightning_s_logger_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", fake_wandb("online"))
    with pytest.raises(ConfigError, match=r"logger\.mine: no login at Weights & Biases \(invalid key\); run wandb"):
        check_services({"mine": {"_target_": "lightning.pytorch.loggers.WandbLogger"}})


@pytest.fixture
def server(request) -> Iterator[str]:
    """The address of a server that answers every request with a status and an object."""
    status, answer = request.param

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


@needs("mlflow")
@pytest.mark.parametrize("server", [(200, {"experiments": []})], indirect=True)
def test_a_server_that_answers_is_accepted(server):
    check_services({"mlflow": {"_target_": MLFLOW, "tracking_uri": server}})


@needs("mlflow")
@pytest.mark.parametrize("server", [(403, {"error_code": "PERMISSION_DENIED", "message": "not you"})], indirect=True)
def test_a_server_that_refuses_is_an_error(server):
    with pytest.raises(ConfigError, match=r"does not answer \(PERMISSION_DENIED: not you\)"):
        check_services({"mlflow": {"_target_": MLFLOW, "tracking_uri": server}})


@needs("mlflow")
@pytest.mark.parametrize(
    ("address", "location", "kept"),
    [
        ("sqlite:///x.db", "multirun/mlflow", "multirun/mlflow"),
        (CLOSED, "multirun/mlflow", None),
        (CLOSED, "s3://bucket", "s3://bucket"),
    ],
)
def test_a_server_is_given_no_folder_of_this_machine(tmp_path: Path, monkeypatch, address, location, kept):
    monkeypatch.chdir(tmp_path)  # MLflow creates x.db at once
    logger = ResumableMLFlowLogger(str(tmp_path), artifact_location=location, tracking_uri=address)
    assert logger._artifact_location == kept


def test_variables_of_wandb_and_mlflow_are_respected(compose, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # MLflow sets it where a test logs to a file
    assert compose("logger=many").logger.mlflow.tracking_uri == "sqlite:///multirun/mlflow.db"
    monkeypatch.setenv("WANDB_PROJECT", "faces")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", CLOSED)
    composed = compose("logger=many")
    assert (composed.logger.wandb.project, composed.logger.mlflow.tracking_uri) == ("faces", CLOSED)
