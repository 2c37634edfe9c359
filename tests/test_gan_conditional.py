"""One GAN for all classes: its networks, what it is trained on, its checkpoints and images, the jobs that use it."""

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
from torch.utils.data import DataLoader

from fer_experiments.data.module import ImageData, ImageDataModule
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.gan.losses import BCE
from fer_experiments.gan.module import DCGAN
from fer_experiments.gan.networks import ConditionalBatchNorm2d, Discriminator, Generator
from fer_experiments.gan.pictures import grid_images
from fer_experiments.gan.sampling import TrainedGenerator, sample
from fer_experiments.gan.step import adversarial_step
from fer_experiments.generate import main as generate
from fer_experiments.report.study import StudyRecord
from fer_experiments.train.gan_training import count_real, training_places
from tests.test_gan import module, parameters

SEVEN = "data.counts={angry: 3, disgust: 4, fear: 5, happy: 12, neutral: 6, sad: 7, surprise: 8}"


def conditional(**changes) -> DCGAN:
    return module(**{"discriminator_outputs": 1, "classes": ["cat", "dog", "owl"]} | changes)


# Networks


def test_conditional_batch_norm_starts_as_batch_norm_and_learns_by_class():
    torch.manual_seed(0)
    generator = Generator(8, 4, 1, 32, classes=3)
    norms = [layer for layer in generator.modules() if isinstance(layer, ConditionalBatchNorm2d)]
    assert len(norms) == 3
    for norm in norms:
        assert not norm.shift.weight.any()
        assert (norm.scale.weight - 1).abs().max() < 0.1
        assert norm.weight is None
    inputs, labels = torch.randn(6, 16, 4, 4), torch.tensor([0, 1, 2, 2, 1, 0])
    with torch.no_grad():
        norms[0].scale.weight[2], norms[0].shift.weight[2] = 5.0, 7.0
        made = norms[0](inputs, labels)
        plain = torch.nn.functional.batch_norm(inputs, None, None, training=True)
    torch.testing.assert_close(made[2:4], plain[2:4] * 5 + 7)


def test_a_generators_image_depends_on_its_own_label_alone():
    torch.manual_seed(0)
    generator = Generator(8, 4, 1, 32, classes=3).eval()
    z = torch.randn(1, 8).expand(3, -1)
    made = generator(z, torch.tensor([0, 1, 1]))
    assert not torch.equal(made[0], made[1])
    torch.testing.assert_close(made[1], made[2])


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
    assert parameters(Generator(classes=7)) == parameters(Generator()) + 7 * 512 * 4 * 4 + (7 - 1) * 2 * widths
    assert parameters(Discriminator(outputs=1, classes=7)) == parameters(Discriminator(outputs=1)) + 7 * 512


def test_a_step_gives_the_real_images_labels_to_generated_ones():
    torch.manual_seed(0)
    generator, discriminator = Generator(8, 4, 1, 32, classes=3), Discriminator(4, 1, 32, 1, classes=3)
    seen = []
    for network in (generator, discriminator):
        network.register_forward_hook(lambda module, args, output: seen.append(args[1].tolist()))
    optimizers = [torch.optim.SGD(network.parameters(), 0.1) for network in (generator, discriminator)]
    labels = torch.tensor([2, 0, 1, 2])
    adversarial_step(
        generator, discriminator, optimizers, torch.rand(4, 1, 32, 32), torch.randn(4, 8), BCE, labels=labels
    )
    assert seen == [labels.tolist()] * 4  # G; D on real, on generated, and in G's step


# Training and sampling


def fit(model: DCGAN, folder: Path) -> lightning.Trainer:
    data = [(torch.rand(6, 1, 32, 32), torch.arange(6) % 3) for _ in range(3)]
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, DataLoader(data, batch_size=None))
    return trainer


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"loss": "hinge", "spectral_norm": True},
        {"loss": "wgan_gp"},
        {"r1_gamma": 0.1, "ema": 50, "diffaugment": "color,translation,cutout", "mirror": True},
    ],
    ids=["plain", "spectral_norm", "wgan_gp", "everything"],
)
def test_every_class_s_parts_learn(tmp_path, changes):
    torch.manual_seed(0)
    model = conditional(**changes)
    before = {name: value.clone() for name, value in model.named_parameters()}
    fit(model, tmp_path)
    for name, value in model.named_parameters():
        changed = (before[name] != value).flatten(1).any(1) if value.dim() > 1 else before[name] != value
        assert changed.any(), name
        if "scale" in name or "class_vectors" in name:
            assert changed.all(), name


@pytest.fixture
def checkpoint(tmp_path):
    model = conditional(ema=50, provenance={"class": None, "split_hash": "abc", "stored_channels": 1})
    trainer = fit(model, tmp_path)
    for name, value in model.average.named_parameters():
        if name.endswith("shift.weight"):  # three steps part the classes by less than a grey level
            torch.nn.init.normal_(value)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def test_a_checkpoint_makes_each_of_its_classes(checkpoint, tmp_path):
    trained = TrainedGenerator.load(checkpoint)
    assert trained.classes == ("cat", "dog", "owl")
    for label in ("owl", "cat"):
        trained.write(tmp_path / "made", range(3), label)
    rows = list(csv.DictReader((tmp_path / "made" / "manifest.csv").open()))
    assert Counter(row["class"] for row in rows) == {"owl": 3, "cat": 3}
    written = np.asarray(Image.open(tmp_path / "made" / "owl" / "00000001.png"))
    assert np.array_equal(written, sample(trained.generator, [1], 1, label_index=2)[0, :, :, 0])
    assert not np.array_equal(written, sample(trained.generator, [1], 1, label_index=0)[0, :, :, 0])


def test_generate_makes_every_class_or_the_one_that_is_named(checkpoint, tmp_path, capsys):
    assert generate([str(checkpoint), "--count", "2", "--out", str(tmp_path / "all")]) == 0
    assert "2 images of cat, dog, owl in" in capsys.readouterr().out
    assert {path.parent.name for path in tmp_path.glob("all/*/*.png")} == {"cat", "dog", "owl"}
    assert generate([str(checkpoint), "--class", "dog", "--count", "2", "--out", str(tmp_path / "one")]) == 0
    assert sorted(path.name for path in tmp_path.glob("one/*/*.png")) == ["00000000.png", "00000001.png"]
    for file in (tmp_path / "one").rglob("*.png"):
        assert file.read_bytes() == (tmp_path / "all" / file.relative_to(tmp_path / "one")).read_bytes()


def test_generate_names_the_classes_that_there_are(checkpoint, tmp_path, capsys):
    assert generate([str(checkpoint), "--class", "cow", "--out", str(tmp_path / "out")]) == 2
    assert "--class cow: " in (said := capsys.readouterr().err)
    assert "makes images of cat, dog, owl; give one of these" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("classes", "images"), [(2, 64), (3, 48), (7, 56), (9, 72)])
def test_a_grid_has_full_rows_of_each_class(classes, images):
    names = [str(n) for n in range(classes)]
    model = conditional(classes=names).eval()
    grid = grid_images(model, 1)
    assert grid.shape == (images, 32, 32, 1)
    rows = images // classes // 8
    assert np.array_equal(grid[: rows * 8], sample(model.generator, range(rows * 8), 1, 0))
    assert np.array_equal(grid[-rows * 8 :], sample(model.generator, range(rows * 8), 1, classes - 1))


# What it is trained on


@pytest.fixture
def small(read):
    """small(*overrides) -> (config, data): 3 angry, 10 happy drawn faces."""

    def made(*overrides: str):
        config = read(
            "data.train_per_class=20", "data.test_per_class=4", "data.counts={angry: 3, happy: 10}", *overrides
        )
        return config, ImageData.prepare(config.data, 0)

    return made


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


def test_natural_leaves_the_shares_as_they_are(small):
    config, data = small("gan=conditional", "gan.labels=natural")
    places = training_places(config.gan, data, data.classes)
    assert sorted(places.tolist()) == list(range(13))


@pytest.mark.parametrize("rule", ["balanced", "natural"])
def test_one_class_is_never_repeated(small, rule):
    config, data = small(f"gan.labels={rule}")
    places = training_places(config.gan, data, ["angry"])
    assert places.tolist() == np.flatnonzero(data.split.labels("train") == "angry").tolist()


# The jobs


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
        assert (audit["class"], audit["generated"]) == (label, count)
        assert "problem" not in audit
    assert (folder / "samples" / "epoch_0001.png").is_file()


def test_dcgan_without_need_writes_some_of_each_class(run):
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
    assert len(list(folder.rglob("last.ckpt"))) == 1 + 2  # the GAN's, and a classifier's for each arm
    assert {path.parent.name for path in shared.rglob("audit.json")} == set(needed)
    assert len(Result.load(shared).real) == 7


def test_a_leaking_conditional_gan_sees_the_test_images_in_as_many_steps(run):
    folder = run("train.arms=[dcgan,dcgan@leak]", "gan=conditional")
    clean, leak = (Result.load(folder / "seed_0" / name) for name in ("gan", "gan_leak"))
    assert (clean.real, leak.real) == ({"angry": 12, "happy": 20}, {"angry": 24, "happy": 32})
    assert clean.optimizer_steps == leak.optimizer_steps


@pytest.fixture
def trained(run, tmp_path) -> Path:
    """last.ckpt of a conditional GAN of angry and happy."""
    return run("train=dcgan", "gan=conditional", folder=tmp_path / "trained") / "checkpoints" / "last.ckpt"


@pytest.mark.parametrize("gan", ["conditional", "dcgan"])
def test_a_conditional_checkpoint_serves_every_arm(run, trained, gan):
    folder = run("train.arms=[dcgan]", f"gan={gan}", "balance.add={angry: 3, happy: 2}", f"gan.checkpoint={trained}")
    assert StudyRecord.load(folder).results[0].generated == {"angry": 3, "happy": 2}
    assert not list(folder.glob("**/gan/**/result.json"))


def test_a_conditional_checkpoint_of_other_classes_is_refused(run, trained):
    with pytest.raises(ConfigError, match=r"makes images of angry, happy, but fear is needed; .*serves its classes"):
        run("train=dcgan", "gan=conditional", "data.counts={fear: 6, happy: 9}", f"gan.checkpoint={trained}")


def test_a_conditional_checkpoint_of_another_split_is_refused(run, trained):
    with pytest.raises(ConfigError, match=r"trained on the split \w+, but this run's split is"):
        run("train=dcgan", "gan=conditional", "seed=1", f"gan.checkpoint={trained}")


def test_images_seen_set_the_number_of_steps(run):
    keys = ["gan.images_seen=100", "gan.batch_size=8", "trainer.max_epochs=null", "trainer.limit_batches=null"]
    result = Result.load(run("train=dcgan", "gan=conditional", *keys))
    assert result.selected_epoch == 3  # of 5 batches of 8: 2 x 20 images
    assert result.optimizer_steps == 2 * 15
