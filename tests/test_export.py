"""An exported network computes what the checkpoint's network computes."""

import json

import numpy as np
import pytest
import torch

from fer_experiments.classifier.trained import TrainedClassifier
from fer_experiments.export.__main__ import main
from fer_experiments.export.formats import WRITERS, load_checkpoint
from fer_experiments.gan.trained import TrainedGenerator

onnx, onnxruntime, safetensors = (
    pytest.importorskip(name, reason="pip install 'fer-experiments[export]'")
    for name in ("onnx", "onnxruntime", "safetensors")
)


@pytest.fixture
def classifier(run, two_classes):
    """A checkpoint with everything that can stand between a network's logits and its probabilities."""
    folder = run(
        "train=cnn", "data=folder", f"data.root={two_classes}", "augment=none",
        "balance=logit_adjustment_post_hoc", "classifier.flip_test=true",
    )  # fmt: skip
    return folder / "checkpoints" / "best.ckpt"


def test_a_classifier_is_the_same_in_every_format(classifier, capsys):
    images = torch.rand(5, 3, 32, 32)
    with torch.inference_mode():
        expected = TrainedClassifier.load(classifier).predict_batch(images).softmax(1).numpy()
    for format in WRITERS:
        assert main([str(classifier), "--format", format]) == 0
        assert "images (N, 3, 32, 32) -> probabilities of cat, dog; its output differs by" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(classifier.with_suffix(".onnx"))
    np.testing.assert_allclose(session.run(None, {"images": images.numpy()})[0], expected, atol=1e-5)
    metadata = {entry.key: entry.value for entry in onnx.load(classifier.with_suffix(".onnx")).metadata_props}
    assert json.loads(metadata["classes"]) == ["cat", "dog"]
    program = torch.export.load(classifier.with_suffix(".pt2"))
    np.testing.assert_allclose(program.module()(images).detach().numpy(), expected, atol=1e-5)
    with safetensors.safe_open(classifier.with_suffix(".safetensors"), "pt") as file:
        assert json.loads(file.metadata()["classes"]) == ["cat", "dog"]
        assert {"shift", "network.to_logits.weight"} <= set(file.keys())
    assert {path.suffix for path in classifier.parent.iterdir()} == {".ckpt", ".onnx", ".pt2", ".safetensors"}


@pytest.mark.parametrize("gan", ["dcgan", "conditional"])
def test_a_generator_is_the_same_in_every_format(run, gan, tmp_path, capsys):
    folder = run("train=dcgan", f"gan={gan}")
    checkpoint = folder / "checkpoints" / "last.ckpt"
    for format in WRITERS:
        assert main([str(folder), "--format", format, "--out", str(tmp_path / format)]) == 0
        labels = ", labels (N,)" if gan == "conditional" else ""
        assert f"z (N, 100){labels} -> images of angry" in capsys.readouterr().out
    trained = TrainedGenerator.load(checkpoint)
    session = onnxruntime.InferenceSession(tmp_path / "onnx")
    z = load_checkpoint(checkpoint, None).inputs["z"]
    inputs = {"z": z.numpy()} | ({"labels": np.array([1, 1, 1])} if gan == "conditional" else {})
    labels = torch.ones(3, dtype=torch.int64) if gan == "conditional" else None
    with torch.inference_mode():
        expected = (trained.generator(z, labels) + 1) / 2
    np.testing.assert_allclose(session.run(None, inputs)[0], expected, atol=1e-4)


def test_a_network_whose_output_changes_is_not_written(classifier, monkeypatch, capsys):
    def write_changed(exported, file):
        file.write_text("")
        return lambda images: exported.module(images) + 0.01

    monkeypatch.setitem(WRITERS, "onnx", write_changed)
    assert main([str(classifier), "--format", "onnx"]) == 2
    assert "output differs by 1.0e-02 from the checkpoint's; not written" in capsys.readouterr().err
    assert not classifier.with_suffix(".onnx").exists()


def test_a_missing_package_is_named(classifier, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "safetensors.torch", None)
    assert main([str(classifier), "--format", "safetensors"]) == 2
    assert "needs safetensors; run pip install 'fer-experiments[export]'" in capsys.readouterr().err


def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path, capsys):
    (tmp_path / "x.ckpt").write_text("x")
    assert main([str(tmp_path / "x.ckpt"), "--format", "onnx"]) == 2
    assert "is not a checkpoint of weights alone" in capsys.readouterr().err
