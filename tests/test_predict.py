"""predict gives what the run measured, whatever the run was, and does not run what a checkpoint names."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from fer_experiments.classifier.trained import TrainedClassifier
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.predict import main
from tests.conftest import write_images


class Plain(nn.Module):
    """A network of a user's own."""

    def __init__(self, num_classes: int, channels: int, image_size: int) -> None:
        super().__init__()
        self.last = nn.Linear(channels * image_size**2, num_classes)

    def forward(self, images):
        return self.last(images.flatten(1))


OWN = f"{__name__}.Plain"
RUNS = {
    "cnn": [],
    "shift and mirror": ["balance=logit_adjustment_post_hoc", "classifier.mirror_test=true", "data.bottleneck=16"],
    "cosines": ["balance=ldam_drw", "data.channels=1"],
    "resnet": ["classifier=resnet18", "data.grey=true", "classifier.select=best", "classifier.ema=0.9"],
}


def trained(run, root, *overrides):
    return run("train=cnn", "data=folder", f"data.root={root}", "augment=none", *overrides)


@pytest.mark.parametrize("overrides", RUNS.values(), ids=RUNS)
def test_predictions_are_those_of_the_run(run, two_classes, capsys, overrides):
    folder = trained(run, two_classes, *overrides)
    test = pd.read_csv(folder / "split.csv").query("split == 'test'")
    files = [str(two_classes / path) for path in test["path"]]
    assert main([str(folder / "checkpoints" / "best.ckpt"), *files, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    measured = torch.from_numpy(Predictions.load(folder, "test").logits).softmax(1).numpy()
    assert [row["path"] for row in rows] == files
    found = np.array([[row["probabilities"]["cat"], row["probabilities"]["dog"]] for row in rows])
    np.testing.assert_allclose(found, measured, atol=1e-5)
    assert [row["predicted"] for row in rows] == [("cat", "dog")[place] for place in measured.argmax(1)]


@pytest.fixture
def checkpoint(run, two_classes):
    return trained(run, two_classes) / "checkpoints" / "best.ckpt"


def test_what_is_no_image_is_told_and_the_rest_classified(checkpoint, tmp_path, capsys):
    write_images(tmp_path / "new" / "deep", 3, size=(50, 30))
    (tmp_path / "new" / "text.png").write_text("no image")
    picture = tmp_path / "sheet.png"
    lines = [str(checkpoint), str(tmp_path / "new"), str(tmp_path / "gone.png"), "--picture", str(picture)]
    assert main([*lines, "--format", "csv"]) == 1
    printed = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert list(rows[0]) == ["path", "predicted", "cat", "dog", "error"]
    assert [row["predicted"] in ("cat", "dog") for row in rows] == [False, True, True, True, False]
    assert "text.png: is no image that can be read: UnidentifiedImageError" in printed.err
    assert "gone.png: is no image that can be read: FileNotFoundError" in printed.err
    assert Image.open(picture).size == (3 * 112, 130)
    assert main(lines[:2]) == 1
    assert "error" in capsys.readouterr().out.splitlines()[0]
    assert main([str(checkpoint), str(tmp_path / "new" / "deep")]) == 0
    assert "error" not in capsys.readouterr().out


def test_a_folder_without_images_is_refused(checkpoint, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main([str(checkpoint), str(tmp_path / "empty")]) == 2
    assert "empty: has no images (looked for .bmp" in capsys.readouterr().err


def test_a_network_of_ones_own_is_built_at_the_users_word_alone(run, two_classes, capsys):
    folder = trained(run, two_classes, f"classifier.network._target_={OWN}", "~classifier.network.dropout")
    lines = [str(folder / "checkpoints" / "best.ckpt"), str(two_classes / "cat")]
    assert main(lines) == 2
    assert f"is of the network {OWN}, which is not built at a file's word" in capsys.readouterr().err
    assert main([*lines, "--network", OWN]) == 0
    assert main([*lines, "--network", "fer_experiments.classifier.networks.CNN"]) == 2
    assert f"is of {OWN}; name that" in capsys.readouterr().err


def changed(checkpoint, **told):
    saved = torch.load(checkpoint, weights_only=True)
    saved["hyper_parameters"]["provenance"] |= told
    torch.save(saved, checkpoint)
    return checkpoint


@pytest.mark.parametrize(
    "target", ["os.system", "subprocess.Popen", "torch.hub.load", "fer_experiments.__main__.main", 3, None]
)
def test_what_a_checkpoint_names_is_not_run(checkpoint, target):
    with pytest.raises(ConfigError, match="is not built at a file's word"):
        TrainedClassifier.load(changed(checkpoint, network={"_target_": target}))


@pytest.mark.parametrize(
    "told", [{"image_size": 10**6}, {"cached_size": 10**6}, {"image_size": 64}, {"channels": 10**9}, {"channels": "x"}]
)
def test_sizes_that_a_checkpoint_claims_cost_no_memory(checkpoint, told):
    with pytest.raises(ConfigError, match="does not fit its own network"):
        TrainedClassifier.load(changed(checkpoint, **told))


def test_a_weights_file_that_a_checkpoint_names_is_not_opened(run, two_classes, tmp_path):
    folder = trained(run, two_classes, "classifier=resnet18")
    node = {"_target_": "fer_experiments.classifier.networks.ResNet18", "weights": str(tmp_path / "none.pt")}
    TrainedClassifier.load(changed(folder / "checkpoints" / "last.ckpt", network=node | {"small_images": False}))


def test_a_gans_checkpoint_and_other_files_are_refused(run, tmp_path):
    gan = run("train=dcgan") / "checkpoints" / "last.ckpt"
    with pytest.raises(ConfigError, match=r"is no checkpoint of a classifier; give checkpoints/best\.ckpt"):
        TrainedClassifier.load(gan)
    (tmp_path / "text").write_text("x")
    with pytest.raises(ConfigError, match="is no checkpoint that holds weights alone"):
        TrainedClassifier.load(tmp_path / "text")
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        TrainedClassifier.load(tmp_path / "none")
