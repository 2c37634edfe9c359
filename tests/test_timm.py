"""classifier=timm: weights, input size, normalisation, frozen backbones, and everything that other classifiers can."""

import builtins

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2.functional import normalize, resize

from fer_experiments.classifier.timm_model import TimmModel
from fer_experiments.classifier.trained import TrainedClassifier
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.evaluation_result import EvaluationResult
from fer_experiments.evaluation.result import Result
from fer_experiments.export.__main__ import main as export
from fer_experiments.predict import main as predict

timm = pytest.importorskip("timm")
RESNET, VIT = "test_resnet.r160_in1k", "test_vit.r160_in1k"
SETTINGS = (
    "train=cnn",
    "classifier=timm",
    f"classifier.network.model_name={RESNET}",
    "classifier.network.input_size=32",
    "classifier.batch_size=8",
)


def build(model_name: str = RESNET, num_classes: int = 2, **keys) -> TimmModel:
    torch.manual_seed(0)
    return TimmModel(num_classes, model_name=model_name, **keys).eval()


def backbone_of(state: dict[str, torch.Tensor], head: str = "fc") -> dict[str, torch.Tensor]:
    return {name: value for name, value in state.items() if f".{head}." not in f".{name}"}


def assert_equal(state: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert state.keys() == expected.keys()
    assert [name for name in state if not torch.equal(state[name], expected[name])] == []


# What the model sees


@pytest.mark.parametrize("model_name", [RESNET, VIT, "test_nfnet"])
def test_size_interpolation_and_normalisation_are_those_of_the_models_configuration(model_name):
    network, images = build(model_name), torch.rand(2, 3, 48, 48)
    config = timm.get_pretrained_cfg(model_name)
    mode = InterpolationMode(config.interpolation)
    resized = resize(images, list(config.input_size[1:]), mode, antialias=True)
    expected = network.model(normalize(resized.clamp(0, 1), config.mean, config.std))
    torch.testing.assert_close(network(images), expected)


def test_images_are_resized_as_by_pillow_which_timm_trains_with():
    pixels = np.random.default_rng(0).integers(96, 160, (96, 96, 3), dtype=np.uint8)
    for side in (32, 160):  # no value leaves the range, at which Pillow clips between its passes
        expected = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))
        [resized] = build("test_vit", input_size=side).resize(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)
        assert np.abs(resized.permute(1, 2, 0).numpy() * 255 - expected).max() < 2


def test_a_grayscale_image_is_the_colour_image_of_equal_channels():
    gray = torch.rand(2, 1, 48, 48)
    torch.testing.assert_close(build(channels=1)(gray), build(channels=3)(gray.expand(-1, 3, -1, -1)))


def test_a_transformer_is_built_for_another_size():
    network = build(VIT, input_size=64)
    assert network.model.patch_embed.img_size == (64, 64)
    assert network(torch.rand(2, 3, 48, 48)).shape == (2, 2)


# classifier.network.weights


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
@pytest.mark.parametrize("model_name", [RESNET, VIT])
def test_a_file_of_weights_is_loaded_with_its_head(tmp_path, model_name, suffix):
    state = timm.create_model(model_name, num_classes=3).state_dict()
    file = tmp_path / f"w.{suffix}"
    (save_file if suffix == "safetensors" else torch.save)(state, file)
    assert_equal(build(model_name, 3, weights=str(file)).model.state_dict(), state)


@pytest.mark.parametrize("num_classes", [0, 1000])
def test_a_file_without_a_head_or_with_another_leaves_the_head_random(tmp_path, num_classes):
    state = timm.create_model(RESNET, num_classes=num_classes).state_dict()
    torch.save(state, tmp_path / "w.pth")
    loaded = build(weights=str(tmp_path / "w.pth")).model
    assert_equal(backbone_of(loaded.state_dict()), backbone_of(state))
    assert loaded.fc.weight.shape == (2, 96)
    assert loaded.fc.weight.std() > 0


def test_the_last_layer_of_few_classes_begins_small(tmp_path):
    """timm draws that of an EfficientNet up to 1 / sqrt(classes), with which a loss begins far above log(classes)."""
    state = timm.create_model("test_efficientnet").state_dict()
    torch.save(state, tmp_path / "w.pth")
    head = build("test_efficientnet", weights=str(tmp_path / "w.pth")).model.get_classifier()
    assert 0 < head.weight.abs().max() <= head.in_features**-0.5
    assert timm.create_model("test_efficientnet", num_classes=2).get_classifier().weight.abs().max() > 0.5


def test_position_embeddings_are_fitted_to_another_size(tmp_path):
    state = timm.create_model(VIT, num_classes=2).state_dict()
    torch.save(state, tmp_path / "w.pth")
    loaded = build(VIT, input_size=64, weights=str(tmp_path / "w.pth")).model.state_dict()
    assert loaded["pos_embed"].shape != state["pos_embed"].shape
    assert torch.equal(loaded["blocks.0.attn.qkv.weight"], state["blocks.0.attn.qkv.weight"])


class Unpickled:
    """An object whose file runs code if it is read without weights_only."""

    def __reduce__(self):
        return pytest.fail, ("code of a file was run",)


def without_first_layer(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in state.items() if not name.startswith("conv1.")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "FileNotFoundError"),
        (without_first_layer(timm.create_model(RESNET, num_classes=2).state_dict()), r"Missing key\(s\).*conv1\."),
        (timm.create_model(VIT, num_classes=2).state_dict(), r"Missing key\(s\) in state_dict"),
        (Unpickled(), "weights_only=True blocked loading"),
    ],
)
def test_weights_that_dont_fit_stop_before_any_work(read, tmp_path, content, message):
    if content is not None:
        torch.save(content, tmp_path / "w.pth")
    with pytest.raises(
        ConfigError, match=rf"classifier\.network=.*weights=.*w\.pth: .*{message}.*give a file of weights of this model"
    ):
        read(*SETTINGS, f"classifier.network.weights={tmp_path}/w.pth")


# Errors


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["classifier.network.model_name=resnet81"], "timm has no such model; did you mean resnet18"),
        (["classifier.network.model_name=resnet18.nosuchtag"], r"Invalid pretrained tag \(nosuchtag\)"),
        (["classifier.network.model_name='hf-hub:a/b'"], "hf-hub:a/b: timm has no such model"),
        (["classifier.network.model_name=deit_tiny_distilled_patch16_224"], "has several last layers"),
        (["classifier.network.weights=a.pth", "classifier.network.pretrained=true"], "give one of the two"),
        (
            ["classifier.network.pretrained=true", "classifier.network.model_name=botnet50ts_256"],
            "timm has no weights of botnet50ts_256; give a file of weights, or false",
        ),
        (["classifier.freeze=head"], r"classifier\.freeze='head': .*'backbone'"),
        (
            ["classifier.freeze=backbone", "classifier.network.model_name=resnetv2_50x1_bit"],
            r"freeze=backbone: TimmModel has no nn\.Linear with 2 outputs; give null",
        ),
    ],
)
def test_what_cant_be_built_is_refused(read, settings, message):
    with pytest.raises(ConfigError, match=message):
        read(*SETTINGS, *settings)


def test_nothing_is_downloaded_unless_the_key_is_set_and_a_failure_says_what_to_do(monkeypatch):
    def fail(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", fail)
    build()
    with torch.device("meta"):  # as where a configuration is checked
        build(pretrained=True)
    with pytest.raises(ConfigError, match=r"pretrained=true: .*\(ConnectionError: no network\); check the network, or"):
        build(pretrained=True)


def test_timm_that_is_missing_is_named(monkeypatch):
    real_import = builtins.__import__

    def fail(name, *arguments, **keywords):
        if name == "timm":
            raise ImportError(name)
        return real_import(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", fail)
    with pytest.raises(ConfigError, match=r"timm is not installed; run pip install 'fer-experiments\[timm\]'"):
        build()


# classifier.freeze


@pytest.mark.parametrize("balance", ["none", "ldam_drw"])
@pytest.mark.parametrize("ema", [0.9, "null"])
def test_a_frozen_backbone_stays_as_it_is_to_the_bit_and_the_head_learns(run, tmp_path, balance, ema):
    weights = timm.create_model(RESNET, num_classes=0, drop_rate=0.5).state_dict()
    torch.save(weights, tmp_path / "w.pth")
    settings = ("classifier.freeze=backbone", f"classifier.network.weights={tmp_path}/w.pth", f"classifier.ema={ema}")
    folder = run(*SETTINGS, *settings, f"balance={balance}", "trainer.limit_batches=2")
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    prefix = "network.model."
    state = {name.removeprefix(prefix): v for name, v in checkpoint["state_dict"].items() if name.startswith(prefix)}
    assert_equal(backbone_of(state), backbone_of(weights))
    [optimizer] = checkpoint["optimizer_states"]
    head = [value for name, value in state.items() if name.startswith("fc.")]
    assert [moments["exp_avg"].shape for moments in optimizer["state"].values()] == [value.shape for value in head]
    assert all(moments["exp_avg"].abs().sum() > 0 for moments in optimizer["state"].values())


def test_without_freeze_everything_is_trained(run, tmp_path):
    weights = timm.create_model(RESNET, num_classes=0).state_dict()
    torch.save(weights, tmp_path / "w.pth")
    folder = run(*SETTINGS, f"classifier.network.weights={tmp_path}/w.pth")
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert [name for name, value in weights.items() if torch.equal(state[f"network.model.{name}"], value)] == []


def test_a_classifier_that_learns_with_a_gan_is_not_frozen(run):
    with pytest.raises(ConfigError, match=r"classifier\.freeze=backbone: joint.* trains the whole classifier"):
        run("train=joint", "classifier.freeze=backbone")


# Everything that other classifiers can


def test_a_checkpoint_is_used_without_the_file_of_its_weights(run, tmp_path, capsys):
    file = tmp_path / "w.safetensors"
    save_file(timm.create_model(RESNET, num_classes=5).state_dict(), file)
    folder = run(*SETTINGS, f"classifier.network.weights={file}")
    file.unlink()
    checkpoint = folder / "checkpoints" / "last.ckpt"
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    assert TrainedClassifier.load(checkpoint).probabilities(images).sum(1).numpy() == pytest.approx(1.0)
    assert export([str(checkpoint), "--format", "onnx"]) == 0
    Image.fromarray(np.zeros((40, 40, 3), dtype=np.uint8)).save(tmp_path / "new.png")
    assert predict([str(checkpoint), str(tmp_path / "new.png")]) == 0
    assert "new.png" in capsys.readouterr().out
    evaluated = run("train=evaluate", f"checkpoint={checkpoint}", folder=tmp_path / "evaluated")
    assert np.isfinite(EvaluationResult.load(evaluated).test["loss"])


@pytest.mark.parametrize("side", [16, 48])
def test_an_exported_model_resizes_images(run, side):
    keys = (
        "classifier.network.model_name=test_vit",
        f"classifier.network.input_size={side}",
        "trainer.limit_batches=1",
    )
    folder = run(*SETTINGS, *keys)
    assert export([str(folder / "checkpoints" / "last.ckpt"), "--format", "onnx"]) == 0


def test_other_content_of_the_weights_file_is_another_training(run, tmp_path):
    file, results = tmp_path / "w.pth", []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        torch.save(timm.create_model(RESNET, num_classes=2).state_dict(), file)
        folder = tmp_path / f"run{len(results)}"
        results.append(Result.load(run(*SETTINGS, f"classifier.network.weights={file}", folder=folder)))
    assert results[0].fingerprint == results[1].fingerprint != results[2].fingerprint


def test_a_study_compares_arms_on_a_frozen_backbone(run, blank_figures):
    folder = run(*SETTINGS[1:], "classifier.freeze=backbone", "train.arms=[none,oversample,balanced_softmax]")
    assert (folder / "report.html").is_file()
    states = [
        torch.load(folder / "seed_0" / arm / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for arm in ("none", "oversample")
    ]
    assert_equal(*({k: v for k, v in backbone_of(state).items() if k.startswith("network.")} for state in states))
