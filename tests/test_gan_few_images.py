"""What a GAN has against few images: adaptive augmentation, LeCam, and the transition to classes."""

from pathlib import Path

import lightning
import pytest
import torch

from fer_experiments.errors import ConfigError
from fer_experiments.gan.adaptive_augmentation import AdaptiveAugmentation
from fer_experiments.gan.lecam import LeCam
from fer_experiments.gan.module import DCGAN
from fer_experiments.gan.networks import ConditionalBatchNorm2d, Discriminator, Generator
from fer_experiments.gan.trained import TrainedGenerator
from fer_experiments.trainer import TrainerConfig
from tests.test_gan import fit, small_gan

ADA = {"diffaugment": "color,translation,cutout", "ada_target": 0.0}
TRANSITION = {"conditional": True, "discriminator_outputs": 1, "transition": [0.25, 0.75]}


def fit_classes(model: DCGAN, folder: Path, epochs: int) -> lightning.Trainer:
    """Train on four batches an epoch of images of two classes."""
    torch.manual_seed(0)
    data = [(torch.rand(4, 1, 32, 32), torch.tensor([0, 1, 1, 0])) for _ in range(4)]
    return fit(model, folder, epochs, data=data)


# Adaptive augmentation


def test_as_many_images_are_augmented_as_the_probability_says():
    torch.manual_seed(0)
    augmentation, images = AdaptiveAugmentation("color", 0.6), torch.rand(4000, 1, 4, 4)
    assert torch.equal(augmentation(images), images)
    augmentation.probability.fill_(0.3)
    changed = (augmentation(images) != images).flatten(1).any(1)
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.03)


def test_each_augmentation_is_drawn_by_itself():
    torch.manual_seed(0)
    augmentation, images = AdaptiveAugmentation("color,translation,cutout", 0.6), torch.rand(4000, 1, 8, 8)
    augmentation.probability.fill_(0.5)
    changed = (augmentation(images) != images).flatten(1).any(1)
    unchanged_shifts = 1 / 9  # of translation, by up to one of 8 pixels; cutout may also miss the image's pixels
    assert changed.float().mean().item() == pytest.approx(1 - 0.5**3 - 0.5**3 * unchanged_shifts, abs=0.03)


def test_the_probability_rises_from_0_to_1_in_a_quarter_of_the_training_and_falls_again():
    augmentation = AdaptiveAugmentation("color", 0.6)
    probabilities = []
    for sign in [0.7] * 30 + [0.5] * 10:
        augmentation.adapt(torch.tensor(sign), steps=100)
        probabilities.append(augmentation.probability.item())
    assert probabilities[:3] == pytest.approx([0.04, 0.08, 0.12])
    assert probabilities[24:30] == pytest.approx([1.0] * 6)
    assert probabilities[-1] == pytest.approx(0.6)


def test_a_training_adapts_its_probability_logs_it_and_keeps_it(tmp_path):
    model = small_gan(**ADA | {"ada_target": -0.99})  # the discriminator is surer of real images than that
    trainer = fit_classes(model, tmp_path, epochs=1)
    assert model.adaptive_augmentation.probability.item() == 1  # four steps, of which a quarter is one
    assert model.history[0]["gan/augmentation_probability"] == 1
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    loaded = small_gan(**ADA)
    loaded.load_state_dict(torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"])
    assert loaded.adaptive_augmentation.probability.item() == 1


# LeCam


def test_lecam_by_hand():
    lecam = LeCam(weight=0.5)
    real, fake = torch.tensor([[2.0], [4.0]], requires_grad=True), torch.tensor([[-1.0], [1.0]], requires_grad=True)
    value = lecam(real, fake)  # the averages are those of this step, 3 and 0
    assert value.item() == pytest.approx(0.5 * ((4 + 16) / 2 + (16 + 4) / 2))
    value.backward()
    assert real.grad.flatten().tolist() == pytest.approx([0.5 * 2, 0.5 * 4])  # no gradient through the averages
    lecam(torch.tensor([[5.0]]), torch.tensor([[0.0]]))
    assert (lecam.real.item(), lecam.generated.item()) == (4, 0)
    for _ in range(300):
        lecam(torch.tensor([[5.0]]), torch.tensor([[0.0]]))
    before = lecam.real.item()
    lecam(torch.tensor([[before + 1]]), torch.tensor([[0.0]]))
    assert lecam.real.item() - before == pytest.approx(0.01, rel=1e-3)


def test_lecam_is_a_part_of_the_discriminators_loss_but_of_no_metric(tmp_path):
    trained = []
    for weight in (None, 0.3):
        torch.manual_seed(1)
        model = small_gan(discriminator_outputs=1, lecam=weight)
        fit_classes(model, tmp_path, epochs=1)
        trained.append(model)
    plain, regularized = trained
    assert plain.history[0].keys() == regularized.history[0].keys()
    assert not torch.equal(plain.discriminator.to_logits.weight, regularized.discriminator.to_logits.weight)
    assert regularized.state_dict()["lecam.steps"] == 4


# The transition


def test_without_influence_the_classes_are_the_same_and_with_it_they_are_not():
    torch.manual_seed(0)
    generator = Generator(8, 4, 1, 32, classes=3, transition=True).eval()
    discriminator = Discriminator(4, 1, 32, 1, classes=3, transition=True).eval()
    for module in generator.modules():
        if isinstance(module, ConditionalBatchNorm2d):
            torch.nn.init.normal_(module.shift.weight)
    z, images, labels = torch.randn(1, 8).expand(3, 8), torch.rand(1, 1, 32, 32).expand(3, 1, 32, 32), torch.arange(3)
    for influence, is_equal in ((0.0, True), (1.0, False)):
        for network, inputs in ((generator, z), (discriminator, images)):
            network.class_influence.fill_(influence)
            first, second, _ = network(inputs, labels)
            assert torch.allclose(first, second, atol=1e-6) == is_equal


def test_with_full_influence_the_networks_are_those_without_a_transition():
    for network, inputs in ((Generator, torch.randn(3, 8)), (Discriminator, torch.rand(3, 1, 32, 32))):
        arguments = (8, 4, 1, 32) if network is Generator else (4, 1, 32, 1)
        plain, with_transition = network(*arguments, classes=3), network(*arguments, classes=3, transition=True)
        with_transition.load_state_dict(plain.state_dict() | {"class_influence": torch.ones(())})
        outputs = [each.eval()(inputs, torch.arange(3)) for each in (plain, with_transition)]
        assert torch.allclose(*outputs, atol=1e-6)
        assert "class_influence" not in plain.state_dict()


def test_the_influence_grows_over_the_training_and_is_kept(tmp_path):
    model = small_gan(["cat", "dog"], **TRANSITION, ema=10)
    influences = []
    update = model._update_networks
    model._update_networks = lambda *batch: influences.append(model.generator.class_influence.item()) or update(*batch)
    fit_classes(model, tmp_path, epochs=1)
    assert influences == pytest.approx([0, 0, 0.5, 1])  # at 0, 1/4, 1/2 and 3/4 of the training
    torch.manual_seed(0)
    model = small_gan(["cat", "dog"], **TRANSITION, ema=10)
    trainer = fit_classes(model, tmp_path, epochs=2)
    model.generator.class_influence.fill_(0.5)
    model.average.class_influence.fill_(0.5)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    loaded = TrainedGenerator.load(tmp_path / "last.ckpt").generator
    assert loaded.class_influence.item() == 0.5


def test_the_average_has_the_influence_of_the_generator(tmp_path):
    model = small_gan(["cat", "dog"], **TRANSITION | {"transition": [0.0, 1.0]}, ema=10)
    fit_classes(model, tmp_path, epochs=1)
    assert model.average.class_influence.item() == model.generator.class_influence.item() == 0.75


def test_r1_is_refused_on_several_gpus(read, monkeypatch):
    monkeypatch.setattr(TrainerConfig, "synchronises_batch_norm", True)
    plain = read("train=dcgan", "gan=conditional")
    plain.train.check(plain)
    for keys in (["train=dcgan", "gan=recipe"], ["train.arms=[none,'dcgan [balance.gan=recipe]']"]):
        config = read(*keys)
        with pytest.raises(ConfigError, match=r"gan\.regularizer=r1: .* several GPUs"):
            config.train.check(config)


@pytest.mark.parametrize(
    "keys",
    [
        ["gan.loss=relativistic", "gan.regularizer=r1_r2", "gan.r1_gamma=0.3"],
        ["gan.regularizer=r1_r2"],
        ["gan.lecam=0.1"],
        ["gan.ada_target=0.6", "gan.diffaugment=color"],
        ["gan.transition=[0.2,0.6]"],
    ],
)
def test_joint_training_refuses_what_it_does_not_have(run, keys):
    with pytest.raises(ConfigError, match=rf"gan: joint.*: {keys[0].removeprefix('gan.').split('=')[0]}=.* alone"):
        run("train=joint", "gan=conditional", *keys)
