"""predict gives the predictions of the run, whatever its settings, and does not run code that a checkpoint names."""

import csv
import io
import json
import shutil
from pathlib import Path

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
    """A user's network, with a module as an argument."""

    def __init__(self, num_classes: int, channels: int, image_size: int, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation
        self.to_logits = nn.Linear(channels * image_size**2, num_classes)

    def forward(self, images):
        return self.to_logits(self.activation(images.flatten(1)))


PLAIN = f"{__name__}.Plain"
PLAIN_OVERRIDES = [
    f"classifier.network._target_={PLAIN}",
    "~classifier.network.dropout",
    "+classifier.network.activation={_target_: torch.nn.LeakyReLU, negative_slope: 0.25}",
]
RUNS = {
    "cnn": [],
    "shift and flips": ["balance=logit_adjustment_post_hoc", "classifier.flip_test=true", "data.bottleneck=16"],
    "cosines": ["balance=ldam_drw", "data.channels=1"],
    "resnet": ["classifier=resnet18", "data.grayscale=true", "classifier.checkpoint=best", "classifier.ema=0.9"],
}


def train(run, root, *overrides):
    return run("train=cnn", "data=folder", f"data.root={root}", "augment=none", *overrides)


@pytest.mark.parametrize("overrides", RUNS.values(), ids=RUNS)
def test_predictions_are_those_of_the_run(run, two_classes, capsys, overrides):
    check_predictions(train(run, two_classes, *overrides), two_classes, capsys)


def test_a_dark_image_of_twelve_bits_is_predicted_as_the_run_saw_it(run, two_classes, capsys):
    for number, file in enumerate(sorted(two_classes.glob("*/*.png"))):
        values = np.asarray(Image.open(file).convert("L")).astype(np.uint16)
        Image.fromarray(values * (16 if number % 5 == 0 else 2)).save(file)  # up to 4,080 or 510
    check_predictions(train(run, two_classes), two_classes, capsys)


def check_predictions(folder, two_classes, capsys):
    """Each test image, predicted by itself, has the probabilities that the run measured."""
    test = pd.read_csv(folder / "split.csv").query("split == 'test'")
    files = [str(two_classes / path) for path in test["path"]]
    assert main([str(folder), *files, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    measured = torch.from_numpy(Predictions.load(folder, "test").logits).softmax(1).numpy()
    assert [row["path"] for row in rows] == files
    probabilities = np.array([[row["probabilities"]["cat"], row["probabilities"]["dog"]] for row in rows])
    np.testing.assert_allclose(probabilities, measured, atol=1e-5)
    assert [row["predicted"] for row in rows] == [("cat", "dog")[index] for index in measured.argmax(1)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder of two classes."""
    folder = tmp_path_factory.mktemp("pets")
    write_images(folder / "cat", 12, seed=1)
    write_images(folder / "dog", 20, seed=2)
    return folder


@pytest.fixture
def checkpoint(run_once, root, tmp_path):
    """A copy of the checkpoint of a training, which a test may change."""
    return Path(shutil.copy(train(run_once, root) / "checkpoints" / "best.ckpt", tmp_path))


@pytest.fixture
def plain_checkpoint(run_once, root, tmp_path):
    """A copy of the checkpoint of a user's network."""
    return Path(shutil.copy(train(run_once, root, *PLAIN_OVERRIDES) / "checkpoints" / "best.ckpt", tmp_path))


def test_files_that_are_not_images_are_reported_and_the_rest_classified(checkpoint, tmp_path, capsys):
    write_images(tmp_path / "new" / "deep", 3, size=(50, 30))
    (tmp_path / "new" / "text.png").write_text("no image")
    picture = tmp_path / "sheet.png"
    lines = [str(checkpoint), str(tmp_path / "new"), str(tmp_path / "gone.png"), "--picture", str(picture)]
    assert main([*lines, "--format", "csv"]) == 1
    printed = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert list(rows[0]) == ["path", "predicted", "cat", "dog", "error"]
    assert [row["predicted"] in ("cat", "dog") for row in rows] == [False, True, True, True, False]
    assert "text.png: can't be read as an image: UnidentifiedImageError" in printed.err
    assert "gone.png: can't be read as an image: FileNotFoundError" in printed.err
    assert Image.open(picture).size == (3 * 112, 130)
    assert main(lines[:2]) == 1
    assert "error" in capsys.readouterr().out.splitlines()[0]
    assert main([str(checkpoint), str(tmp_path / "new" / "deep")]) == 0
    assert "error" not in capsys.readouterr().out


def test_a_folder_without_images_is_refused(checkpoint, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main([str(checkpoint), str(tmp_path / "empty")]) == 2
    assert "empty: has no images (looked for .bmp" in capsys.readouterr().err


def test_a_users_network_is_built_only_if_the_user_names_it(plain_checkpoint, two_classes, capsys):
    lines = [str(plain_checkpoint), str(two_classes / "cat")]
    assert main(lines) == 2
    error = capsys.readouterr().err
    assert f"its network is {PLAIN}, code that is not run only because a file names it" in error
    assert f"add --network {PLAIN}" in error
    assert main([*lines, "--network", PLAIN]) == 0
    assert main([*lines, "--network", "fer_experiments.classifier.networks.CNN"]) == 2
    assert f"is {PLAIN}; give that" in capsys.readouterr().err


def test_the_arguments_of_a_users_network_are_built_as_in_training(plain_checkpoint):
    network = TrainedClassifier.load(plain_checkpoint, PLAIN).network
    assert isinstance(network.activation, nn.LeakyReLU)
    assert network.activation.negative_slope == 0.25


def test_code_that_an_argument_of_a_users_network_names_is_not_run(plain_checkpoint):
    for target in ("os.mkdir", "torch.nn.init.zeros_", "torch.hub.load", "torch.nn.os", [1], None):
        argument = {"_target_": target}
        for activation in (argument, {"modules": [argument]}):
            with_provenance(plain_checkpoint, network={"_target_": PLAIN, "activation": activation})
            with pytest.raises(ConfigError, match=r"Plain that it names: .*; only modules of torch\.nn are built"):
                TrainedClassifier.load(plain_checkpoint, PLAIN)


def with_provenance(checkpoint, **entries):
    """Change entries of a checkpoint's provenance."""
    content = torch.load(checkpoint, weights_only=True)
    content["hyper_parameters"]["provenance"] |= entries
    torch.save(content, checkpoint)
    return checkpoint


@pytest.mark.parametrize(
    "target", ["os.system", "subprocess.Popen", "torch.hub.load", "fer_experiments.__main__.main", 3, None]
)
def test_code_that_a_checkpoint_names_is_not_run(checkpoint, target):
    with pytest.raises(ConfigError, match="code that is not run only because a file names it"):
        TrainedClassifier.load(with_provenance(checkpoint, network={"_target_": target}))


@pytest.mark.parametrize(
    "entries",
    [{"image_size": 10**6}, {"cached_size": 10**6}, {"image_size": 64}, {"channels": 10**9}, {"channels": "x"}],
)
def test_sizes_that_a_checkpoint_claims_cost_no_memory(checkpoint, entries):
    with pytest.raises(ConfigError, match=r"does not fit the network .*CNN that it names"):
        TrainedClassifier.load(with_provenance(checkpoint, **entries))


def test_a_weights_file_that_a_checkpoint_names_is_not_opened(run, two_classes, tmp_path):
    folder = train(run, two_classes, "classifier=resnet18")
    node = {"_target_": "fer_experiments.classifier.networks.ResNet18", "weights": str(tmp_path / "none.pt")}
    TrainedClassifier.load(
        with_provenance(folder / "checkpoints" / "last.ckpt", network=node | {"small_images": False})
    )


def test_a_gans_checkpoint_and_other_files_are_refused(run, tmp_path):
    gan = run("train=dcgan") / "checkpoints" / "last.ckpt"
    with pytest.raises(ConfigError, match=r"is not a classifier's checkpoint; give the folder of a run"):
        TrainedClassifier.load(gan)
    (tmp_path / "text").write_text("x")
    with pytest.raises(ConfigError, match="is not a checkpoint of weights alone"):
        TrainedClassifier.load(tmp_path / "text")
    with pytest.raises(ConfigError, match="can't be read: No such file"):
        TrainedClassifier.load(tmp_path / "none")


def test_the_page_shows_how_trained_networks_are_used_from_python(run, two_classes, tmp_path):
    page = (Path(__file__).parents[1] / ".github" / "docs" / "hydra.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    gan = run("train=dcgan", folder=tmp_path / "gan")
    image = next((two_classes / "cat").glob("*.png"))
    paths = {"multirun/RUN": train(run, two_classes), "multirun/GAN": gan, "face.png": image}
    for name, path in paths.items():
        assert name in code
        code = code.replace(name, str(path))
    values: dict = {}
    exec(code, values)
    assert values["probabilities"].shape == (1, 2)
    assert values["faces"].shape[0] == 8
