"""Encoders: networks of files of random weights, in whose features generated images are compared with real ones."""

import json
import pickle
import shutil

import numpy as np
import pytest
import timm
import torch
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import save_file
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from fer_experiments.audit import __main__ as audit_command_line
from fer_experiments.audit.feature_extractor import build_feature_extractor
from fer_experiments.encoder import Inception, Reference, Timm, timm_network
from fer_experiments.errors import ConfigError
from fer_experiments.train.config import Config, load_config
from tests.conftest import TINY_FACES, TINY_NETWORKS

VIT = "test_vit.r160_in1k"
RESNET = "test_resnet.r160_in1k"


def save_timm_weights(name, file, seed=0):
    torch.manual_seed(seed)
    save_file(timm.create_model(name, pretrained=False).state_dict(), file)
    return file


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """{model: its file}"""
    folder = tmp_path_factory.mktemp("weights")
    return {name: save_timm_weights(name, folder / f"{name}.safetensors") for name in (VIT, RESNET)}


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory):
    """A weights file of random numbers: the constructor needs one, so it is built here with loading switched off."""
    file = tmp_path_factory.mktemp("inception") / "weights.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "load", lambda *args, **keys: None)
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        torch.manual_seed(0)
        network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path="none")
    torch.save(network.state_dict(), file)
    return file


def timm_encoder(name, file, image_size=None):
    return Timm(model_name=name, weights=file, image_size=image_size)


def images(channels=1, count=2):
    return torch.randint(
        0, 256, (count, channels, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def test_inception_features_are_2048_and_the_same_for_gray_in_one_and_three_channels(inception_weights):
    extractor = Inception(weights=inception_weights).build(64, "cpu")
    features = extractor.features(images())
    assert features.shape == (2, 2048)
    assert torch.equal(features, extractor.features(images().expand(-1, 3, -1, -1)))
    assert not torch.equal(features[0], features[1])


@pytest.mark.parametrize("name", [VIT, RESNET])
def test_timm_features_are_those_of_its_own_preparation_and_the_inputs_of_its_last_layer(weights, name):
    extractor = timm_encoder(name, weights[name]).build(64, "cpu")
    network = timm.create_model(name, pretrained=False, checkpoint_path=str(weights[name])).eval()
    config = timm.data.resolve_model_data_config(network)
    prepare = timm.data.create_transform(**(config | {"crop_pct": 1.0}))
    pictures = [Image.fromarray(pixels.permute(1, 2, 0).numpy()) for pixels in images(3)]
    with torch.inference_mode():
        outputs = network(torch.stack([prepare(picture) for picture in pictures]))
        ours = network.get_classifier()(extractor.features(images(3)))
    assert torch.corrcoef(torch.stack([outputs.flatten(), ours.flatten()]))[0, 1] > 0.999  # PIL rounds to whole pixels
    torch.testing.assert_close(ours, outputs, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("name", [VIT, RESNET])
def test_the_size_of_timms_images_can_be_chosen(weights, name):
    features = {
        size: timm_encoder(name, weights[name], size).build(64, "cpu").features(images()) for size in (None, 64, 160)
    }
    assert features[64].shape == features[None].shape
    assert not torch.allclose(features[64], features[None])
    torch.testing.assert_close(features[160], features[None])  # their own


def test_building_an_encoder_leaves_the_random_numbers_as_they_are(read, weights):
    settings = read("encoder=timm", f"encoder.model_name={RESNET}", f"encoder.weights={weights[RESNET]}").audit_settings
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    timm_network._load_network.cache_clear()
    build_feature_extractor(settings, reference=None)
    torch.testing.assert_close(torch.rand(3), expected)


@pytest.mark.parametrize("encoder", ["inception", "timm"])
def test_an_audit_names_the_encoder_and_measures_in_its_features(run, weights, inception_weights, encoder):
    file = weights[RESNET] if encoder == "timm" else inception_weights
    model = [f"encoder.model_name={RESNET}"] if encoder == "timm" else []
    folder = run("train=dcgan", "data.valid_fraction=0.4", f"encoder={encoder}", f"encoder.weights={file}", *model)
    audit = json.loads((folder / "audit.json").read_text())
    assert audit["encoder"].startswith("InceptionV3 (" if encoder == "inception" else f"timm's {RESNET} (")
    plain = run("train=dcgan", "data.valid_fraction=0.4", folder=folder.parent / "plain")
    reference = json.loads((plain / "audit.json").read_text())
    assert reference["encoder"] == "the reference classifier"
    assert audit["headline"]["kid"] != reference["headline"]["kid"]
    for name in ("label_agreement", "memorised_fraction"):  # of the reference classifier, and of pixels
        assert audit["headline"][name] == reference["headline"][name]


def test_other_weights_at_the_same_path_audit_a_run_again(run, weights, tmp_path):
    file = shutil.copy(weights[VIT], tmp_path / "weights.safetensors")
    keys = ["train=dcgan", "data.valid_fraction=0.4", "encoder=timm", f"encoder.model_name={VIT}"]

    def audit_again() -> str:
        folder = run(*keys, f"encoder.weights={file}")
        (folder / "status.json").unlink()  # as if it had been interrupted
        return (folder / "audit.json").read_text()

    first = audit_again()
    assert audit_again() == first  # with its seconds, so it is not even written again
    save_timm_weights(VIT, file, seed=1)
    second = audit_again()
    assert json.loads(first)["encoder"] != json.loads(second)["encoder"]
    assert json.loads(first)["headline"]["kid"] != json.loads(second)["headline"]["kid"]


def test_a_folder_is_audited_in_the_features_of_an_encoder_of_the_command(run, weights, capsys):
    folder = run("train=dcgan", "data.valid_fraction=0.4")
    images_of_class = next((folder / "synthetic").glob("*/")).parent
    command = [str(images_of_class), "--split", str(folder / "split.csv"), "--out", str(folder / "again")]
    command += ["--no-usefulness", "encoder=timm", f"encoder.model_name={VIT}"]
    GlobalHydra.instance().clear()  # the command line is a process of its own
    audit_command_line.main([*command, f"encoder.weights={weights[VIT]}"])
    assert f"in the features of timm's {VIT} (" in capsys.readouterr().out
    assert json.loads((folder / "again" / "audit.json").read_text())["encoder"].startswith(f"timm's {VIT}")
    assert audit_command_line.main([*command, "encoder.weights=nowhere.pth"]) == 2
    assert "encoder.weights='nowhere.pth': there is no such file" in capsys.readouterr().err
    assert audit_command_line.main([*command, "encoder.wights=x"]) == 2
    assert "encoder.wights: unknown key; did you mean encoder.weights?" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        audit_command_line.main([*command, "gan.epochs=3"])
    assert "only encoder and its keys" in capsys.readouterr().err


def test_the_description_tells_files_sizes_and_networks_apart(weights, tmp_path):
    copy = tmp_path / weights[VIT].name
    shutil.copy(weights[VIT], copy)
    same = timm_encoder(VIT, weights[VIT]).describe()
    assert timm_encoder(VIT, copy).describe() == same
    copy.write_bytes(copy.read_bytes() + b" ")
    changed = [timm_encoder(VIT, copy), timm_encoder(VIT, weights[VIT], 64), timm_encoder(RESNET, weights[VIT])]
    assert len({same, Reference().describe(), *(encoder.describe() for encoder in changed)}) == 5


class Malicious:
    def __reduce__(self):
        return (print, ("code has run",))


@pytest.mark.parametrize("encoder", ["inception", "timm"])
def test_a_file_that_would_run_code_is_refused(tmp_path, capsys, encoder):
    file = tmp_path / "weights.pth"
    file.write_bytes(pickle.dumps(Malicious()))
    config = timm_encoder(VIT, file) if encoder == "timm" else Inception(weights=file)
    with pytest.raises(
        ConfigError,
        match=r"encoder\.weights=.*weights\.pth: (is not the weights|.*give a file of weights of this model)",
    ):
        config.build(64, "cpu")
    assert "code has run" not in capsys.readouterr().out


def test_weights_of_another_network_are_refused(weights, tmp_path):
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match="is not the weights file of torch-fidelity's"):
        Inception(weights=tmp_path / "weights.pth").build(64, "cpu")
    for file in (tmp_path / "weights.pth", weights[RESNET]):
        with pytest.raises(ConfigError, match=r"encoder\.weights=.*: .*; give a file of weights of this model of timm"):
            timm_encoder(VIT, file).build(64, "cpu")


def test_a_part_of_the_weights_is_not_enough(weights, tmp_path):
    state = timm.create_model(VIT, pretrained=False).state_dict()
    del state["blocks.0.attn.qkv.weight"]
    save_file(state, tmp_path / "part.safetensors")
    with pytest.raises(ConfigError, match=r"encoder\.weights=.*blocks\.0\.attn\.qkv\.weight"):
        timm_encoder(VIT, tmp_path / "part.safetensors").build(64, "cpu")


def test_an_unknown_network_is_named_with_close_ones(weights):
    with pytest.raises(
        ConfigError, match=r"encoder\.model_name=test_vitt: timm has no such model; did you mean test_vit"
    ):
        timm_encoder("test_vitt", weights[VIT]).build(64, "cpu")


@pytest.mark.parametrize(
    ("module", "extra"), [("torch_fidelity.feature_extractor_inceptionv3", "inception"), ("timm", "timm")]
)
def test_a_missing_package_is_named(weights, tmp_path, monkeypatch, module, extra):
    file = shutil.copy(weights[VIT], tmp_path / "fresh.safetensors")  # a network of another file may be in memory
    monkeypatch.setitem(__import__("sys").modules, module, None)
    config = timm_encoder(VIT, file) if extra == "timm" else Inception(weights=file)
    with pytest.raises(ConfigError, match=rf"encoder={extra}: .*pip install 'fer-experiments\[{extra}\]'"):
        config.build(64, "cpu")


@pytest.mark.parametrize("encoder", ["inception", "timm"])
def test_a_missing_file_stops_before_any_work(read, encoder):
    with pytest.raises(ConfigError, match=r"encoder\.weights='nowhere\.pth': there is no such file"):
        read("train=dcgan", f"encoder={encoder}", "encoder.weights=nowhere.pth")


def test_a_file_of_another_network_stops_before_any_work(read, weights):
    with pytest.raises(ConfigError, match=r"encoder\.weights=.*give a file of weights of this model"):
        read("train=dcgan", "encoder=timm", f"encoder.weights={weights[VIT]}")


@pytest.mark.parametrize("with_inception", [True, False])
def test_a_run_of_an_earlier_version_is_read(compose, tmp_path, inception_weights, with_inception):
    composed = compose("train=dcgan", *TINY_FACES, *TINY_NETWORKS)
    node = OmegaConf.to_container(composed, resolve=True)
    del node["encoder"]
    node["gan"]["inception"] = str(inception_weights) if with_inception else None
    OmegaConf.save(node, tmp_path / "config.yaml")
    config = Config.read(load_config(tmp_path / "config.yaml"))
    assert config.encoder == (Inception(weights=inception_weights) if with_inception else Reference())


def test_kid_in_training_is_measured_in_the_encoders_features(run, weights, tmp_path):
    keys = ["train=dcgan", "data.valid_fraction=0.4", "gan.kid_every=1"]
    encoder = ["encoder=timm", f"encoder.model_name={VIT}", f"encoder.weights={weights[VIT]}"]
    folders = [run(*keys, folder=tmp_path / "plain"), run(*keys, *encoder, folder=tmp_path / "timm")]
    first, second = (json.loads((folder / "result.json").read_text()) for folder in folders)
    kids = [[row["gan/kid"] for row in result["history"] if "gan/kid" in row] for result in (first, second)]
    assert np.all(np.isfinite(kids))
    assert kids[0] != kids[1]
    assert first["fingerprint"] != second["fingerprint"]
