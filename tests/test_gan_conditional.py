"""One GAN for all classes: its networks, training images, checkpoints and samples, and the jobs that use it."""

import csv
import json
from collections import Counter
from pathlib import Path

import lightning
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from fer_experiments.data.datamodule import ImageDataModule
from fer_experiments.data.prepared import PreparedData
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.gan.module import DCGAN
from fer_experiments.gan.networks import ConditionalBatchNorm2d, Discriminator, Generator
from fer_experiments.gan.sampling import sample
from fer_experiments.gan.step import adversarial_step
from fer_experiments.gan.trained import TrainedGenerator
from fer_experiments.generate import main as generate
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.train.gan.fit import count_real
from fer_experiments.train.gan.selection import training_places
from fer_experiments.trainer.callbacks.sample_grid import sample_grid
from tests.test_gan import BCE, count_parameters, fit, small_gan

pytestmark = pytest.mark.usefixtures("blank_figures")
SEVEN = "data.counts={angry: 3, disgust: 4, fear: 5, happy: 12, neutral: 6, sad: 7, surprise: 8}"


CLASSES = ["cat", "dog", "owl"]


def conditional_gan(classes: list[str] = CLASSES, **keys) -> DCGAN:
    return small_gan(classes, **({"discriminator_outputs": 1} | keys))


def conditional_generator() -> Generator:
    """Build a generator whose scales and shifts differ much between its classes, in evaluation mode."""
    torch.manual_seed(0)
    generator = Generator(8, 4, 1, 32, classes=3)
    for layer in generator.modules():
        if isinstance(layer, ConditionalBatchNorm2d):
            torch.nn.init.normal_(layer.shift.weight)
            torch.nn.init.uniform_(layer.norm.running_mean)
            torch.nn.init.uniform_(layer.norm.running_var, 0.5, 2.0)
    return generator.eval()


# Networks


def test_conditional_batch_norm_starts_as_batch_norm_and_learns_by_class():
    torch.manual_seed(0)
    generator = Generator(8, 4, 1, 32, classes=3)
    norms = [layer for layer in generator.modules() if isinstance(layer, ConditionalBatchNorm2d)]
    assert len(norms) == 3
    for norm in norms:
        assert not norm.shift.weight.any()
        assert (norm.scale.weight - 1).abs().max() < 0.1
        assert norm.norm.weight is None
    inputs, labels = torch.randn(6, 16, 4, 4), torch.tensor([0, 1, 2, 2, 1, 0])
    with torch.no_grad():
        norms[0].scale.weight[2], norms[0].shift.weight[2] = 5.0, 7.0
        outputs = norms[0](inputs, labels)
        plain = torch.nn.functional.batch_norm(inputs, None, None, training=True)
    torch.testing.assert_close(outputs[2:4], plain[2:4] * 5 + 7)


def test_a_generators_image_depends_on_its_own_label_alone():
    torch.manual_seed(0)
    generator = Generator(8, 4, 1, 32, classes=3).eval()
    z = torch.randn(1, 8).expand(3, -1)
    images = generator(z, torch.tensor([0, 1, 1]))
    assert not torch.equal(images[0], images[1])
    torch.testing.assert_close(images[1], images[2])


def test_a_generator_with_synchronised_batch_norm_still_uses_its_classes():
    generator = conditional_generator()
    z, labels = torch.randn(4, 8), torch.tensor([0, 1, 2, 1])
    expected = generator(z, labels)
    converted = torch.nn.SyncBatchNorm.convert_sync_batchnorm(generator)
    kinds = [type(layer) for layer in converted.modules()]
    assert kinds.count(torch.nn.SyncBatchNorm) == kinds.count(ConditionalBatchNorm2d) == 3
    assert torch.nn.BatchNorm2d not in kinds
    assert torch.equal(converted(z, labels), expected)
    for image, image_of_another_class in zip(expected, converted(z, (labels + 1) % 3), strict=True):
        assert (image - image_of_another_class).abs().max() > 0.01
    # Scale and shift alone depend on the class too, without the class input of the first block.
    block, inputs = converted.blocks[1], torch.randn(1, 16, 4, 4)
    assert not torch.allclose(block(inputs, torch.tensor([0])), block(inputs, torch.tensor([1])), atol=0.01)


def test_weights_from_when_conditional_batch_norm_was_a_batch_norm_still_load():
    generator = conditional_generator()
    weights = {name.replace(".norm.", "."): value for name, value in generator.state_dict().items()}
    assert weights.keys() != generator.state_dict().keys()
    fresh = Generator(8, 4, 1, 32, classes=3).eval()
    fresh.load_state_dict(weights)
    z, labels = torch.randn(3, 8), torch.tensor([0, 1, 2])
    assert torch.equal(fresh(z, labels), generator(z, labels))


def test_the_projection_adds_the_classes_product_with_the_summed_features():
    torch.manual_seed(0)
    network = Discriminator(4, 1, 32, 1, classes=3).eval()
    images, labels = torch.randn(2, 1, 32, 32), torch.tensor([2, 0])
    features = network.blocks(images)
    expected = torch.einsum("bc,bcxy->b", network.class_vectors.weight[labels], features)
    plain = network.to_logits(features).flatten()
    torch.testing.assert_close(network(images, labels).flatten(), plain + expected)


def test_a_class_costs_an_input_and_two_numbers_a_channel_in_the_generator_and_a_vector_in_the_discriminator():
    widths = 512 + 256 + 128 + 64
    unconditional = count_parameters(Generator())
    assert count_parameters(Generator(classes=7)) == unconditional + 7 * 512 * 4 * 4 + (7 - 1) * 2 * widths
    assert count_parameters(Discriminator(outputs=1, classes=7)) == count_parameters(Discriminator(outputs=1)) + 7 * 512


def test_a_step_gives_the_real_images_labels_to_generated_ones():
    torch.manual_seed(0)
    generator, discriminator = Generator(8, 4, 1, 32, classes=3), Discriminator(4, 1, 32, 1, classes=3)
    labels_of_calls = []
    for network in (generator, discriminator):
        network.register_forward_hook(lambda module, inputs, output: labels_of_calls.append(inputs[1].tolist()))
    optimizers = [torch.optim.SGD(network.parameters(), 0.1) for network in (generator, discriminator)]
    labels = torch.tensor([2, 0, 1, 2])
    adversarial_step(
        generator, discriminator, optimizers, torch.rand(4, 1, 32, 32), torch.randn(4, 8), BCE, labels=labels
    )
    assert labels_of_calls == [labels.tolist()] * 4  # G; D on real, on generated, and in G's step


# Training and sampling


def fit_classes(model: DCGAN, folder: Path) -> lightning.Trainer:
    data = [(torch.rand(6, 1, 32, 32), torch.arange(6) % 3) for _ in range(3)]
    return fit(model, folder, epochs=1, data=data)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss": "hinge", "regularizer": "spectral_norm"},
        {"loss": "wgan_gp"},
        {
            "regularizer": "r1",
            "r1_gamma": 0.1,
            "ema": 50,
            "diffaugment": "color,translation,cutout",
            "random_flip": True,
        },
    ],
    ids=["plain", "spectral_norm", "wgan_gp", "everything"],
)
def test_the_weights_of_every_class_learn(tmp_path, changes):
    torch.manual_seed(0)
    model = conditional_gan(**changes)
    before = {name: value.clone() for name, value in model.named_parameters()}
    fit_classes(model, tmp_path)
    for name, value in model.named_parameters():
        changed = (before[name] != value).flatten(1).any(1) if value.dim() > 1 else before[name] != value
        assert changed.any(), name
        if "scale" in name or "class_vectors" in name:
            assert changed.all(), name


@pytest.fixture
def checkpoint(tmp_path):
    model = conditional_gan(ema=50, provenance={"class": None, "split_hash": "abc", "stored_channels": 1})
    trainer = fit_classes(model, tmp_path)
    for name, value in model.average.named_parameters():
        if name.endswith("shift.weight"):  # after three steps the classes differ by less than a grey level
            torch.nn.init.normal_(value)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def test_a_checkpoint_makes_images_of_each_of_its_classes(checkpoint, tmp_path):
    trained = TrainedGenerator.load(checkpoint)
    assert trained.classes == ("cat", "dog", "owl")
    for label in ("owl", "cat"):
        trained.write(tmp_path / "images", {label: range(3)})
    rows = list(csv.DictReader((tmp_path / "images" / "manifest.csv").open()))
    assert Counter(row["class"] for row in rows) == {"owl": 3, "cat": 3}
    written = np.asarray(Image.open(tmp_path / "images" / "owl" / "00000001.png"))
    assert np.array_equal(written, sample(trained.generator, [1], 1, label_index=2)[0, :, :, 0])
    assert not np.array_equal(written, sample(trained.generator, [1], 1, label_index=0)[0, :, :, 0])


def test_generate_makes_images_of_every_class_or_of_the_one_that_is_named(checkpoint, tmp_path, capsys):
    assert generate([str(checkpoint), "--count", "2", "--out", str(tmp_path / "all")]) == 0
    assert "2 images of cat, dog, owl in" in capsys.readouterr().out
    assert {path.parent.name for path in tmp_path.glob("all/*/*.png")} == {"cat", "dog", "owl"}
    assert generate([str(checkpoint), "--class", "dog", "--count", "2", "--out", str(tmp_path / "one")]) == 0
    assert sorted(path.name for path in tmp_path.glob("one/*/*.png")) == ["00000000.png", "00000001.png"]
    for file in (tmp_path / "one").rglob("*.png"):
        assert file.read_bytes() == (tmp_path / "all" / file.relative_to(tmp_path / "one")).read_bytes()


def test_generate_names_the_classes_of_the_checkpoint(checkpoint, tmp_path, capsys):
    assert generate([str(checkpoint), "--class", "cow", "--out", str(tmp_path / "out")]) == 2
    message = capsys.readouterr().err
    assert "--class cow: " in message
    assert "makes images of cat, dog, owl; give one of these" in message
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("classes", "images"), [(2, 64), (3, 48), (7, 56), (9, 72)])
def test_a_grid_has_full_rows_of_each_class(classes, images):
    names = [str(n) for n in range(classes)]
    model = conditional_gan(names).eval()
    grid = sample_grid(model, 1)
    assert grid.shape == (images, 32, 32, 1)
    rows = images // classes // 8
    assert np.array_equal(grid[: rows * 8], sample(model.generator, range(rows * 8), 1, 0))
    assert np.array_equal(grid[-rows * 8 :], sample(model.generator, range(rows * 8), 1, classes - 1))


def test_a_grid_of_many_classes_has_four_images_of_each():
    model = conditional_gan([str(n) for n in range(17)]).eval()
    grid = sample_grid(model, 1)
    assert grid.shape == (4 * 17, 32, 32, 1)
    assert np.array_equal(grid[-4:], sample(model.generator, range(4), 1, 16))


# Training images


@pytest.fixture
def small(read):
    """small(*overrides) -> (config, data): 3 angry, 10 happy drawn faces."""

    def prepare(*overrides: str):
        config = read(
            "data.train_per_class=20", "data.test_per_class=4", "data.counts={angry: 3, happy: 10}", *overrides
        )
        return config, PreparedData.prepare(config.data, 0)

    return prepare


def test_balanced_repeats_the_small_class_until_all_have_the_same_share(small):
    config, data = small("gan=conditional")
    places = training_places(config.gan, data, data.classes)
    labels = data.split.labels("train")
    assert Counter(labels[places]) == {"angry": 10, "happy": 10}
    assert sorted(Counter(places[labels[places] == "angry"].tolist()).values()) == [3, 3, 4]
    assert count_real(data, places) == {"angry": 3, "happy": 10}
    images = ImageDataModule(data, image_size=32, batch_size=5, seed=0, train_indices=places)
    epoch = torch.cat([labels for _, labels in images.train_dataloader()])
    assert epoch.bincount().tolist() == [10, 10]


def test_natural_labels_take_every_image_once(small):
    config, data = small("gan=conditional", "gan.labels=natural")
    places = training_places(config.gan, data, data.classes)
    assert sorted(places.tolist()) == list(range(13))


@pytest.mark.parametrize("labels", ["balanced", "natural"])
def test_the_images_of_a_single_class_are_never_repeated(small, labels):
    config, data = small(f"gan.labels={labels}")
    places = training_places(config.gan, data, ["angry"])
    assert places.tolist() == np.flatnonzero(data.split.labels("train") == "angry").tolist()


# Jobs


def manifest(folder: Path) -> dict[str, int]:
    table = pd.read_csv(folder / "synthetic" / "manifest.csv")
    return table["class"].value_counts().to_dict()


def test_dcgan_trains_one_gan_on_all_classes(run):
    folder = run("train=dcgan", "gan=conditional", "data.counts={angry: 5, fear: 6, happy: 9}")
    result = Result.load(folder)
    assert result.real == {"angry": 5, "fear": 6, "happy": 9}
    assert result.generated == manifest(folder) == {"angry": 4, "fear": 3}
    for label, count in result.generated.items():
        audit = json.loads((folder / label / "audit.json").read_text())
        assert (audit["label"], audit["generated"]) == (label, count)
        assert audit["problem"] == ""
    assert (folder / "samples" / "epoch_0001.png").is_file()


def test_dcgan_writes_64_images_of_each_class_if_none_are_needed(run):
    folder = run("train=dcgan", "gan=conditional", "data.counts={angry: 5, happy: 5}")
    assert manifest(folder) == {"angry": 64, "happy": 64}


@pytest.mark.parametrize("gan", ["conditional", "recipe"])
def test_a_study_of_seven_classes_shares_one_gan(run, gan):
    folder = run("train.arms=[dcgan,dcgan+traditional]", f"gan={gan}", SEVEN, "classifier.epochs=1")
    record = StudyRecord.load(folder)
    assert not record.failed
    needed = {"angry": 9, "disgust": 8, "fear": 7, "neutral": 6, "sad": 5, "surprise": 4}
    assert [result.generated for result in record.results] == [needed, needed]
    shared = folder / "seed_0" / "gan"
    assert manifest(shared) == needed
    assert len(list(folder.rglob("last.ckpt"))) == 1 + 2  # of the GAN, and of the classifier of each arm
    assert {path.parent.name for path in shared.rglob("audit.json")} == set(needed)
    assert len(Result.load(shared).real) == 7


def test_a_leaking_conditional_gan_trains_on_the_test_images_in_as_many_steps(run):
    folder = run("train.arms=[dcgan,dcgan@leak]", "gan=conditional")
    clean, leak = (Result.load(folder / "seed_0" / name) for name in ("gan", "gan_leak"))
    assert (clean.real, leak.real) == ({"angry": 12, "happy": 20}, {"angry": 24, "happy": 32})
    assert clean.optimizer_steps == leak.optimizer_steps


@pytest.fixture
def trained(run, tmp_path) -> Path:
    """last.ckpt of a conditional GAN of angry and happy."""
    return run("train=dcgan", "gan=conditional", folder=tmp_path / "trained") / "checkpoints" / "last.ckpt"


@pytest.mark.parametrize("gan", ["conditional", "dcgan"])
def test_the_folder_of_a_conditional_gan_serves_every_arm(run, trained, gan):
    trained = trained.parent.parent
    folder = run("train.arms=[dcgan]", f"gan={gan}", "balance.add={angry: 3, happy: 2}", f"gan.pretrained={trained}")
    assert StudyRecord.load(folder).results[0].generated == {"angry": 3, "happy": 2}
    assert not list(folder.glob("**/gan/**/result.json"))


def test_a_conditional_checkpoint_of_other_classes_is_refused(run, trained):
    message = r"makes images of angry, happy, but fear is needed; .*serves its own classes"
    with pytest.raises(ConfigError, match=message):
        run("train=dcgan", "gan=conditional", "data.counts={fear: 6, happy: 9}", f"gan.pretrained={trained}")


def test_a_conditional_checkpoint_of_another_split_is_refused(run, trained):
    with pytest.raises(ConfigError, match=r"trained on the split \w+, but this run's split is"):
        run("train=dcgan", "gan=conditional", "seed=1", f"gan.pretrained={trained}")


def test_images_seen_sets_the_number_of_steps(run):
    keys = ["gan.images_seen=100", "gan.batch_size=8", "trainer.max_epochs=null", "trainer.limit_batches=null"]
    result = Result.load(run("train=dcgan", "gan=conditional", *keys))
    assert result.selected_epoch == 3  # of 5 batches of 8: 2 x 20 images
    assert result.optimizer_steps == 2 * 15
