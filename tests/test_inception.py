"""Features of torch-fidelity's InceptionV3, from a file of random weights."""

import json
import pickle

import pytest
import torch

from fer_experiments.audit.inception import Inception
from fer_experiments.errors import ConfigError

FeatureExtractorInceptionV3 = pytest.importorskip(
    "torch_fidelity.feature_extractor_inceptionv3", reason="pip install 'fer-experiments[inception]'"
).FeatureExtractorInceptionV3


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A weights file of random numbers: the constructor needs one, so it is built here with loading switched off."""
    file = tmp_path_factory.mktemp("inception") / "weights.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "load", lambda *args, **keys: None)
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        torch.manual_seed(0)
        network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path="none")
    torch.save(network.state_dict(), file)
    return file


def test_features_are_2048_and_the_same_for_grey_in_one_and_three_channels(weights):
    extractor = Inception(weights, 64)
    grey = torch.randint(0, 256, (2, 1, 64, 64), dtype=torch.uint8)
    features = extractor.features(grey)
    assert features.shape == (2, 2048)
    assert torch.equal(features, extractor.features(grey.expand(-1, 3, -1, -1)))
    assert not torch.equal(features[0], features[1])


def test_an_audit_measures_distances_in_inception_features(run, weights):
    folder = run("train=dcgan", "data.valid_fraction=0.4", f"gan.inception={weights}")
    audit = json.loads((folder / "audit.json").read_text())
    assert audit["measures"]["features"] == "Inception"
    assert isinstance(audit["headline"]["kid"], float)


class Malicious:
    def __reduce__(self):
        return (print, ("code has run",))


def test_a_file_that_would_run_code_is_refused(tmp_path, capsys):
    file = tmp_path / "weights.pth"
    file.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(
        ConfigError, match=r"gan\.inception=.*weights\.pth: is not the weights file of torch-fidelity's"
    ):
        Inception(file, 64)
    assert "code has run" not in capsys.readouterr().out


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match="is not the weights file of torch-fidelity's"):
        Inception(tmp_path / "weights.pth", 64)


def test_a_missing_package_is_named(weights, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch_fidelity.feature_extractor_inceptionv3", None)
    with pytest.raises(ConfigError, match=r"pip install 'fer-experiments\[inception\]'"):
        Inception(weights.with_name("other.pth"), 64)


def test_a_missing_file_stops_before_any_work(read):
    with pytest.raises(ConfigError, match=r"gan\.inception='nowhere\.pth'|gan\.inception=.*no such file"):
        read("train=dcgan", "gan.inception=nowhere.pth")
