"""TensorBoard shows what a study has logged. Its HTTP interface is read as its page reads it."""

import json
import time
import urllib.request
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

import pytest
import torch
from lightning.pytorch.utilities import rank_zero_only
from tensorboard import program

from fer_experiments.trainer.loggers.event_logger import EventLogger
from fer_experiments.trainer.loggers.summary import log_outcome, log_test_results
from fer_experiments.trainer.loggers.tensorboard import write_charts
from tests.results import build_result

ARMS = ["none", "dcgan"]
HPARAMS = "hparams/test_accuracy"
GANS = ["seed_0/gan/angry", "seed_0/gan/happy"]  # of one conditional GAN: each class has its projector
JOB = [
    *("gan=conditional", "gan.picture_epochs=[1,2]", "gan.epochs=2", "balance.inject=symmetric"),
    f"train.arms=[{','.join(ARMS)}]",
]


def serve(logdir: Path) -> str:
    """Start TensorBoard in a thread of this process, on the loopback address; return its URL."""
    server = program.TensorBoard()
    server.configure(argv=["", "--logdir", str(logdir), "--host", "127.0.0.1", "--port", "0", "--load_fast", "false"])
    return server.launch()


@pytest.fixture
def ask(run):
    """ask(plugin, path, **query) -> what TensorBoard answers about a finished study."""
    address = serve(run(*JOB))

    def request(plugin: str, path: str, **query):
        with urllib.request.urlopen(f"{address}data/plugin/{plugin}/{path}?{urlencode(query)}", timeout=20) as answer:
            content = answer.read()
        return json.loads(content) if answer.headers.get_content_type() == "application/json" else content

    end = time.monotonic() + 30
    while time.monotonic() < end:  # TensorBoard reads the files in the background; wait for the last line of each arm
        if all(HPARAMS in request("scalars", "tags").get(f"seed_0/{arm}", ()) for arm in ARMS):
            break
        time.sleep(0.2)
    return request


def test_it_shows_all_that_a_study_has_logged(ask):
    gan, arms = "seed_0/gan", [f"seed_0/{arm}" for arm in ARMS]
    scalars = ask("scalars", "tags")
    assert set(scalars) == {gan, *arms}  # a run is named by seed and arm
    assert {"gan/loss_discriminator", "gan/loss_generator", "gan/score_real"} <= set(scalars[gan])
    for arm in arms:
        assert {"train/loss", "valid/loss", "valid/balanced_accuracy"} <= set(scalars[arm])
    points = ask("scalars", "scalars", run=arms[0], tag="valid/balanced_accuracy")
    assert [step for _, step, _ in points] == sorted({step for _, step, _ in points})
    assert len(points) == 2  # epochs
    assert sorted(scalars[gan])[0] == "gan/loss_discriminator"  # the first card, which no curve of epochs precedes
    for run in (gan, *arms):
        curves = [tag for tag in scalars[run] if not tag.startswith("hparams/")]
        assert [tag for tag in curves if len(ask("scalars", "scalars", run=run, tag=tag)) < 2] == []

    layout = ask("custom_scalars", "layout")
    assert [chart["title"] for category in layout["category"] for chart in category["chart"]] == [
        "losses", "the discriminator's scores", "distance from validation images", "loss", "accuracy", "learning rate",
    ]  # fmt: skip

    samples = ask("images", "tags")[gan]
    (tag,) = [name for name in samples if name.startswith("gan/samples")]
    pictures = ask("images", "images", run=gan, tag=tag, sample=0)
    assert [picture["step"] for picture in pictures] == [1, 2]  # epochs, on the slider
    assert ask("images", "individualImage", **dict(parse_qsl(pictures[0]["query"]))).startswith(b"\x89PNG")
    for arm in arms:
        assert "test/confusion_matrix" in ask("images", "tags")[arm]

    curves = ask("pr_curves", "tags")
    assert {tag for arm in arms for tag in curves[arm]} == {"test/angry", "test/happy"}
    (curve,) = ask("pr_curves", "pr_curves", run=arms[0], tag="test/angry")[arms[0]]
    assert len(curve["precision"]) == len(curve["recall"]) > 1
    assert max(curve["recall"]) == 1

    experiment = ask("hparams", "experiment", request="{}")
    columns = [info["name"] for info in experiment["hparamInfos"]]
    assert columns[:4] == ["arm", "generated", "real", "seed"]  # five are shown before any is chosen
    assert {"gan.latent_dim", "gan.ema", "classifier.epochs"} <= set(columns)
    metrics = {info["name"]["tag"] for info in experiment["metricInfos"]}
    assert {HPARAMS, "hparams/test_balanced_accuracy", "hparams/test_loss", "hparams/score_real"} <= metrics
    request = json.dumps({"colParams": [], "startIndex": 0, "sliceSize": 9, "allowedStatuses": ["STATUS_SUCCESS"]})
    lines = {
        line["hparams"]["arm"]: line for line in ask("hparams", "session_groups", request=request)["sessionGroups"]
    }
    assert set(lines) == {"gan", *ARMS}
    assert lines["none"]["hparams"]["generated"] == 0 < lines["dcgan"]["hparams"]["generated"]
    assert {lines["none"]["hparams"][f"gan.{key}"] for key in ("conditional", "random_flip", "ema")} == {
        "true", "false", "null",
    }  # fmt: skip
    values = {value["name"]["tag"]: value["value"] for value in lines["none"]["metricValues"]}
    assert 0 <= values[HPARAMS] <= 1
    assert set(values) == {"hparams/test_balanced_accuracy", HPARAMS, "hparams/test_loss"}

    assert set(ask("projector", "runs")) == set(GANS)
    for run in GANS:
        (embedding,) = ask("projector", "info", run=run)["embeddings"]
        identity = {"run": run, "name": embedding["tensorName"]}
        count, dimensions = embedding["tensorShape"]
        parts = ask("projector", "metadata", **identity).decode().split()
        assert len(parts) == count
        assert set(parts) == {"train", "held_out", "generated"}
        assert len(ask("projector", "tensor", **identity)) == count * dimensions * 4  # float32
        assert ask("projector", "sprite_image", **identity).startswith(b"\x89PNG")


@pytest.mark.parametrize(("rank", "files"), [(0, 1), (1, 0)])
def test_rank_zero_alone_writes(tmp_path, monkeypatch, rank, files):
    monkeypatch.setattr(rank_zero_only, "rank", rank)
    loggers, result = [EventLogger(tmp_path, name="", version="")], build_result("none", 0, 0.5)
    write_charts(loggers)
    log_test_results(loggers, result.classes, result.metrics["test"], torch.zeros(2, 2), torch.tensor([0, 1]), epoch=2)
    log_outcome(loggers, result, {}, {"test_accuracy": 0.5})
    assert len(list(tmp_path.glob("events.*"))) == files
