"""GAN and classifier in one training: losses against closed forms, one step, the files of a run and their readers."""

import json
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from fer_experiments.audit.__main__ import main as audit
from fer_experiments.classifier.trained import TrainedClassifier
from fer_experiments.data.synthetic import MANIFEST
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.evaluation.result import Result, Trained
from fer_experiments.export.__main__ import main as export
from fer_experiments.gan.losses import BCE
from fer_experiments.gan.networks import Discriminator, Generator
from fer_experiments.gan.step import AdversarialObjective
from fer_experiments.gan.trained import TrainedGenerator
from fer_experiments.generate import main as generate
from fer_experiments.joint import losses
from fer_experiments.joint.networks import Trunk, draw_labels, without_running_statistics
from fer_experiments.joint.step import two_headed_step
from fer_experiments.predict import main as predict
from fer_experiments.report.findings import compute_findings
from fer_experiments.report.study_record import StudyRecord
from tests.conftest import joint_config, write_images
from tests.same_run import curves

HEADS = ["adc", "acgan", "external"]


# Losses


def test_adc_tells_real_and_generated_of_each_class_apart():
    logits, labels = torch.randn(5, 6), torch.tensor([0, 2, 1, 1, 0])  # three classes
    p = logits.softmax(1)
    rows = torch.arange(5)
    torch.testing.assert_close(losses.ADC.real(logits, labels), -p[rows, labels].log())
    torch.testing.assert_close(losses.ADC.generated(logits, labels), -p[rows, labels + 3].log())
    torch.testing.assert_close(losses.ADC.generator(logits, labels), p[rows, labels + 3].log() - p[rows, labels].log())


def test_acgan_gives_generated_images_the_labels_of_real_ones():
    logits, labels = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    expected = F.cross_entropy(logits, labels, reduction="none")
    for term in losses.ACGAN:
        torch.testing.assert_close(term(logits, labels), expected)


def test_images_are_accepted_if_the_classifier_is_sure_of_their_label():
    logits = torch.tensor([[0.8, 0.1, 0.1], [0.5, 0.4, 0.1], [0.1, 0.1, 0.8]]).log()
    requested = torch.tensor([0, 1, 0])
    labels, accepted = losses.accept_generated(logits, requested, 0.7, pseudo_labels=True)
    assert (labels.tolist(), accepted.tolist()) == ([0, 0, 2], [True, False, True])
    labels, accepted = losses.accept_generated(logits, requested, 0.3, pseudo_labels=False)
    assert (labels.tolist(), accepted.tolist()) == ([0, 1, 0], [True, True, False])


@pytest.mark.parametrize("accepted", [[True, False, True], [False, False, False]])
def test_weights_make_the_weighted_mean_of_the_means_of_real_and_of_accepted_images(accepted):
    real_losses, generated_losses, accepted = torch.rand(4), torch.rand(3), torch.tensor(accepted)
    weights = losses.weights_of_two_means(4, accepted, 0.1)
    weighted_mean = (weights * torch.cat([real_losses, generated_losses])).sum() / weights.sum()
    has_accepted = bool(accepted.any())
    generated_mean = generated_losses[accepted].mean() if has_accepted else 0.0
    expected = (real_losses.mean() + 0.1 * generated_mean) / (1.1 if has_accepted else 1.0)
    torch.testing.assert_close(weighted_mean, expected)


# Networks


@pytest.mark.parametrize("image_size", [32, 64, 128])
@pytest.mark.parametrize(("contrast", "outputs"), [(True, 6), (False, 3)])
def test_the_trunk_is_table_1_with_a_class_head_beside_the_adversarial_one(image_size, contrast, outputs):
    trunk = Trunk(3, 1, image_size, width=4, contrast=contrast).eval()
    images = torch.rand(2, 1, image_size, image_size)
    heads = trunk.heads(images * 2 - 1)
    assert (heads.adversarial.shape, heads.classes.shape) == ((2, 1), (2, outputs))
    torch.testing.assert_close(trunk(images), heads.classes[:, :3])
    names = {name for name, _ in Discriminator(4, 1, image_size, 1).named_parameters()}
    assert {f"discriminator.{name}" for name in names} == {n for n, _ in trunk.named_parameters()} - {
        "to_classes.weight", "to_classes.bias"
    }  # fmt: skip


def test_without_running_statistics_a_batch_is_normalised_but_not_remembered():
    torch.manual_seed(0)
    trunk = Trunk(2, 1, 32, width=4)
    norm = next(module for module in trunk.modules() if isinstance(module, torch.nn.BatchNorm2d))
    before, images = norm.running_mean.clone(), torch.rand(4, 1, 32, 32)
    with without_running_statistics(trunk):
        inside = trunk(images)
    assert torch.equal(norm.running_mean, before)
    torch.testing.assert_close(trunk(images), inside)  # it was normalised by the batch, too
    assert not torch.equal(norm.running_mean, before)


@pytest.mark.parametrize("probabilities", [[0.5, 0.5], [0.7, 0.0, 0.3], [0.0, 1.0]])
def test_labels_are_drawn_by_their_probabilities_in_random_order(probabilities):
    torch.manual_seed(0)
    cumulative = torch.tensor(probabilities).cumsum(0)
    draws = torch.stack([draw_labels(cumulative, 30) for _ in range(50)])
    for label, probability in enumerate(probabilities):
        counts = (draws == label).sum(1)
        assert (counts - 30 * probability).abs().max() <= 1
        assert counts.max() == 0 or probability > 0
    if 0 < probabilities[0] < 1:
        assert len(set(draws[:, 0].tolist())) > 1


# One step


class Step(NamedTuple):
    """A step of gradient descent. before, after: [parameters of the trunk, parameters of the generator]."""

    before: list[list[torch.Tensor]]
    after: list[list[torch.Tensor]]
    inputs: tuple[torch.Tensor, ...]  # real images, their labels, noise, labels of the images to generate
    values: dict[str, float]


def take_step(in_class_loss: int = 4, warm_up_factor: float = 1.0, **keys) -> Step:
    """Build both networks and update them once. keys: of conf/joint/adc.yaml."""
    torch.manual_seed(0)
    joint = joint_config(**keys)
    trunk, generator = Trunk(2, 1, 32, width=4, contrast=joint.head == "adc"), Generator(8, 4, 1, 32, 2)
    real, labels = torch.rand(4, 1, 32, 32) * 2 - 1, torch.tensor([0, 1, 1, 0])
    inputs = real, labels, torch.randn(4, 8), torch.tensor([1, 1, 0, 0])
    before = copy_parameters(trunk, generator)
    optimizers = [torch.optim.SGD(network.parameters(), 1.0) for network in (trunk, generator)]
    values = two_headed_step(
        generator,
        trunk,
        optimizers,
        *inputs,
        objective=AdversarialObjective(BCE),
        joint=joint,
        in_class_loss=in_class_loss,
        warm_up_factor=warm_up_factor,
    )
    after = copy_parameters(trunk, generator)
    return Step(before, after, inputs, {name: value.item() for name, value in values.items()})


def copy_parameters(*networks: torch.nn.Module) -> list[list[torch.Tensor]]:
    return [[parameter.detach().clone() for parameter in network.parameters()] for network in networks]


def untrained_networks() -> tuple[Trunk, Generator]:
    """Build the networks with which take_step starts."""
    torch.manual_seed(0)
    return Trunk(2, 1, 32, width=4), Generator(8, 4, 1, 32, 2)


def test_a_step_descends_the_sum_of_the_losses_of_both_heads():
    weights = {"adversarial": 0.5, "class": 2.0, "generated": 0.25, "generator_class": 3.0}
    keys = {f"{name}_weight": value for name, value in weights.items()}
    before, after, (real, labels, z, fake_labels), values = take_step(in_class_loss=3, **keys)
    trunk, generator = untrained_networks()
    fake = generator(z, fake_labels)
    real_heads, fake_heads = trunk.heads(real), trunk.heads(fake.detach())
    adversarial = F.binary_cross_entropy_with_logits(real_heads.adversarial, torch.ones(4, 1))
    adversarial = adversarial + F.binary_cross_entropy_with_logits(fake_heads.adversarial, torch.zeros(4, 1))
    classes = F.cross_entropy(real_heads.classes, labels)
    generated = F.cross_entropy(fake_heads.classes[:3], fake_labels[:3] + 2)
    gradients = torch.autograd.grad(0.5 * adversarial + 2 * (classes + 0.25 * generated), [*trunk.parameters()])
    for old, new, gradient in zip(before[0], after[0], gradients, strict=True):
        torch.testing.assert_close(new, old - gradient)
    with torch.no_grad():
        for parameter, new in zip(trunk.parameters(), after[0], strict=True):
            parameter.copy_(new)
    heads = trunk.heads(fake)
    adversarial_g = F.binary_cross_entropy_with_logits(heads.adversarial, torch.ones(4, 1))
    as_generated, as_real = (heads.classes.gather(1, fake_labels[:, None] + offset) for offset in (2, 0))
    classes_g = (as_generated - as_real).mean()
    gradients = torch.autograd.grad(0.5 * adversarial_g + 3 * classes_g, [*generator.parameters()])
    for old, new, gradient in zip(before[1], after[1], gradients, strict=True):
        torch.testing.assert_close(new, old - gradient, atol=1e-5, rtol=1e-4)
    assert values["gan/loss_discriminator"] == pytest.approx(adversarial.item(), rel=1e-5)
    assert values["gan/loss_generator"] == pytest.approx(adversarial_g.item(), rel=1e-4)
    assert values["joint/loss_classes_generated"] == pytest.approx(generated.item(), rel=1e-5)
    plain = F.cross_entropy(real_heads.classes[:, :2], labels)
    assert values["train/loss"] == pytest.approx(plain.item(), rel=1e-5)


@pytest.mark.parametrize("head", ["adc", "acgan"])
def test_generated_images_have_no_part_in_class_losses_during_the_warm_up(head):
    warming_up = take_step(head=head, warm_up_factor=0.0).after
    without = take_step(head=head, generated_weight=0.0, generator_class_weight=0.0).after
    warmed_up = take_step(head=head).after
    for network in (0, 1):
        assert all(map(torch.equal, warming_up[network], without[network]))
        assert not all(map(torch.equal, warming_up[network], warmed_up[network]))


def test_a_trunk_that_is_not_shared_learns_what_it_would_without_the_adversarial_loss():
    before, after, *_ = take_step(share_trunk=False)
    without = take_step(adversarial_weight=0.0).after
    names = [name for name, _ in untrained_networks()[0].named_parameters()]
    for name, old, new, expected in zip(names, before[0], after[0], without[0], strict=True):
        is_adversarial_head = name == "discriminator.to_logits.weight"
        assert torch.equal(new, expected) != is_adversarial_head, name
        assert not torch.equal(new, old), name
    assert not all(map(torch.equal, before[1], after[1]))


# Jobs

KEYS = [
    "train=joint",
    "reference_classifier.epochs=1",
    "classifier.epochs=2",
    "classifier.batch_size=16",
    "gan.ema=100",
]


@pytest.mark.parametrize("head", HEADS)
def test_every_command_reads_the_classifier_and_the_generator_that_a_run_leaves(
    run, tmp_path, capsys, two_classes, head
):
    data_keys = ["data=folder", f"data.root={two_classes}", "experiment=quick", "augment=traditional"]
    folder = run(*KEYS, f"joint.head={head}", "joint.threshold=0", *data_keys)
    plain = run("train=cnn", *KEYS[1:-1], *data_keys, folder=tmp_path / "none")
    result, none = Result.load(folder), Result.load(plain)
    assert (result.job, result.arm) == (Trained.CLASSIFIER, "joint+traditional")
    assert result.optimizer_steps == none.optimizer_steps
    assert (result.split_hash, result.classes) == (none.split_hash, none.classes)
    assert sum(result.generated.values()) == 8 * result.optimizer_steps  # half of each batch, all accepted
    assert result.metrics.keys() == none.metrics.keys()
    np.testing.assert_array_equal(
        Predictions.load(folder, "test").content_hash, Predictions.load(plain, "test").content_hash
    )
    # predict
    test = pd.read_csv(folder / "split.csv").query("split == 'test'")
    files = [str(two_classes / path) for path in test["path"]]
    assert predict([str(folder), *files, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    expected = torch.from_numpy(Predictions.load(folder, "test").logits).softmax(1).numpy()
    probabilities = np.array([[row["probabilities"]["cat"], row["probabilities"]["dog"]] for row in rows])
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    # generate makes the images that the run left
    images = tmp_path / "images"
    assert generate([str(folder), "--count", "3", "--out", str(images)]) == 0
    for label in ("cat", "dog"):
        generated = np.asarray(Image.open(images / label / "00000002.png"))
        written = np.asarray(Image.open(folder / "gan" / "synthetic" / label / "00000002.png"))
        assert np.array_equal(generated, written)
        assert json.loads((folder / "gan" / label / "audit.json").read_text())["checks"]
    assert set(pd.read_csv(images / MANIFEST)["split_hash"]) == {result.split_hash}
    # audit
    arguments = [str(images), "--split", str(folder / "split.csv"), "--out", str(tmp_path / "audit")]
    assert audit([*arguments, "--no-usefulness"]) in (0, 1)
    assert (tmp_path / "audit" / "audit.json").is_file()
    # curves of both heads, grids, health, the result of the GAN
    tags = {tag for tag, _, _ in curves(folder)}
    assert {"train/loss", "valid/balanced_accuracy", "gan/loss_discriminator", "gan/score_real", "gan/samples"} <= tags
    assert any(tag.startswith("joint/") for tag in tags)
    assert Image.open(folder / "gan" / "samples" / "epoch_0002.png").width > 64
    gan = Result.load(folder / "gan")
    assert (gan.job, set(gan.generated)) == (Trained.GAN, {"cat", "dog"})
    assert gan.history[-1]["step"] == result.optimizer_steps
    assert "Set more classifier.epochs" in (folder / "gan" / "health.json").read_text()


@pytest.fixture
def run_joint(run):
    return partial(run, *KEYS[:-1])


def test_classifier_and_generator_of_one_checkpoint_name_the_same_split(run_joint):
    folder = run_joint("data.grayscale=true")
    path = folder / "checkpoints" / "last.ckpt"
    classifier, generator = TrainedClassifier.load(path), TrainedGenerator.load(path)
    assert classifier.classes == generator.classes == ("angry", "happy")
    assert classifier.split_hash == generator.split_hash == Result.load(folder).split_hash
    assert generator.sample([1, 2], "happy").shape == (2, 32, 32, 1)


def test_an_export_is_of_the_classifier_unless_the_generator_is_requested(run_joint, tmp_path, capsys):
    path = run_joint() / "checkpoints" / "last.ckpt"
    for options, outputs in (([], "probabilities"), (["--generator"], "images")):
        assert export([str(path), "--format", "safetensors", "--out", str(tmp_path / outputs), *options]) == 0
        assert f"-> {outputs} of angry, happy" in capsys.readouterr().out


def test_ten_small_classes_of_grey_images_of_any_size(run, tmp_path):
    for number in range(10):
        write_images(tmp_path / "set" / f"class{number}", 20 + 10 * (number == 3), (32 + number, 128), "L", seed=number)
    folder = run(*KEYS, "data=folder", f"data.root={tmp_path / 'set'}", "data.grayscale=true", "joint.labels=natural")
    result = Result.load(folder)
    assert len(result.generated) == 10
    assert Image.open(folder / "gan" / "synthetic" / "class7" / "00000000.png").size == (32, 32)


def test_labels_fractions_and_warm_up_decide_which_generated_images_train_the_classifier(run, tmp_path, monkeypatch):
    monkeypatch.setattr("fer_experiments.train.arms.joint.audit_generated", lambda *call: None)  # half of the time

    def train(number, *keys):
        keys = ["joint.adversarial_weight=0", *keys]  # otherwise every generated image trains the trunk
        return Result.load(
            run(*KEYS, "trainer.max_epochs=4", "classifier.epochs=4", *keys, folder=tmp_path / str(number))
        )

    half = train(0)
    assert half.generated == {"angry": 4 * half.optimizer_steps, "happy": 4 * half.optimizer_steps}
    assert train(1, "joint.warm_up=0.5").generated == {name: count / 2 for name, count in half.generated.items()}
    assert train(2, "joint.labels={angry: 1}").generated == {"angry": 8 * half.optimizer_steps}
    assert sum(train(3, "joint.generated_fraction=0.25").generated.values()) == 4 * half.optimizer_steps
    assert train(4, "joint.generated_fraction=0").generated == {}
    assert train(8, "joint.generated_fraction=0", "joint.head=external", "joint.threshold=0").generated == {}
    assert train(5, "joint.generated_weight=0").generated == {}
    keys = ["joint.adversarial_weight=1", "joint.generated_weight=0"]
    assert sum(train(6, *keys).generated.values()) == 8 * half.optimizer_steps
    assert train(7, *keys, "joint.share_trunk=false").generated == {}


@pytest.mark.usefixtures("blank_figures")
def test_arms_of_both_heads_and_ec_gan_stand_beside_the_others_in_one_study(run):
    arms = 'train.arms=[none,dcgan,joint,"joint [joint.head=acgan]","joint [joint.head=external,joint.threshold=0]"]'
    folder = run(arms, "reference_classifier.epochs=1", "classifier.batch_size=16")
    record = StudyRecord.load(folder)
    assert not record.failed
    assert len({result.optimizer_steps for result in record.results}) == 1
    verdicts = {verdict.arm: verdict for verdict in compute_findings(record, folder).arms}
    assert all(verdicts[arm].generated for arm in record.arms if arm != "none")
    page = (folder / "report.html").read_text()
    assert all(f"<h3>{arm}: angry: 12 training images, 64 generated" in page for arm in record.arms[2:])
    for arm in record.arms[2:]:
        assert len(list((folder / "seed_0").glob(f"{arm.split(' ')[0]}*/gan/angry/audit.json"))) == 3


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["augment=randaugment"], "augment: joint.* needs a gradient; use augment=none, traditional or strong"),
        (["joint.generated_fraction=0.6"], "joint.generated_fraction=0.6: input should be less than or equal to 0.5"),
        (["joint.labels={angry: 0}"], "no class has a weight"),
        (["joint.labels={sad: 1}"], r"joint.labels=.*: no class sad; the classes are angry, happy"),
        (
            ["classifier.batch_size=2"],
            "classifier.batch_size=2: with joint.generated_fraction=0.5 a batch has fewer than the two real images",
        ),
        (
            ["joint.share_trunk=false", "gan=conditional", "gan.regularizer=r1"],
            "joint.share_trunk=false: joint: the gradient penalty of gan.loss=bce",
        ),
        (["train=study", "train.arms=[none,joint@leak]"], "joint@leak: .*leave out @leak"),
        (["train=study", 'train.arms=["none [joint.head=adc]"]'], "none is not trained together with a GAN"),
        (["train=study", 'train.arms=["joint [joint.head=gan]"]'], "joint.head='gan': input should be 'adc'"),
    ],
)
def test_impossible_settings_are_refused(run, keys, message):
    with pytest.raises(ConfigError, match=message):
        run(*KEYS, *keys)


def test_several_devices_are_refused(read):
    config = read("train=joint", "trainer=ddp", "accelerator=cpu")
    with pytest.raises(ConfigError, match="joint is trained on one device"):
        config.train.check(config)


def test_the_generator_of_the_last_epoch_makes_the_images_whichever_epoch_is_best(run):
    folder = run(*KEYS, "trainer.max_epochs=3", "classifier.epochs=3")
    best, last = (TrainedGenerator.load(folder / "checkpoints" / f"{name}.ckpt") for name in ("best", "last"))
    assert best.checkpoint_hash != last.checkpoint_hash  # the best epoch is not the last here
    assert set(pd.read_csv(folder / "gan" / "synthetic" / MANIFEST)["checkpoint_hash"]) == {last.checkpoint_hash}
