"""GAN training beyond the paper: penalties, augmentation and averages, against closed forms and numbers by hand."""

from dataclasses import replace
from pathlib import Path

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from fer_experiments.errors import ConfigError
from fer_experiments.gan import diffaugment as augmentation
from fer_experiments.gan.averaging import compute_decay, update_average
from fer_experiments.gan.config import AUGMENTATION_NAMES, default_gamma
from fer_experiments.gan.diffaugment import AUGMENTATIONS, diffaugment, random_flip
from fer_experiments.gan.losses import BCE
from fer_experiments.gan.module import DCGAN
from fer_experiments.gan.networks import Discriminator, Generator
from fer_experiments.gan.penalties import build_penalty, gradient_penalty, input_gradient, r1, r1_r2
from fer_experiments.gan.sampling import sample
from fer_experiments.gan.step import AdversarialObjective, adversarial_step
from fer_experiments.gan.trained import TrainedGenerator
from tests.test_gan import PROVENANCE, fit, small_gan, small_pair

EVERYTHING = {
    "discriminator_outputs": 1,
    "loss": "hinge",
    "discriminator_learning_rate": 4e-4,
    "ema": 40,
    "diffaugment": "color,translation,cutout",
    "random_flip": True,
}


# Penalties


def linear(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return w of D(x) = w x, whose length is sqrt(3), and real and generated images (4, 1, 2, 2)."""
    w = torch.tensor([1.0, -1.0, 0.0, 1.0], requires_grad=True)
    torch.manual_seed(seed)
    return w, torch.randn(4, 1, 2, 2), torch.randn(4, 1, 2, 2)


def test_r1_of_a_linear_discriminator_is_half_gamma_times_the_square_of_its_weights():
    w, real, fake = linear()
    value = r1(lambda x: x.flatten(1) @ w[:, None], real, fake, gamma=5.0)
    assert value.item() == pytest.approx(5 / 2 * 3)
    value.backward()
    assert w.grad.tolist() == pytest.approx([5.0, -5.0, 0.0, 5.0])  # gamma w


def test_gradient_penalty_of_a_linear_discriminator_is_the_squared_distance_of_its_length_from_one():
    w, real, fake = linear()
    value = gradient_penalty(lambda x: x.flatten(1) @ w[:, None], real, fake)
    assert value.item() == pytest.approx((3**0.5 - 1) ** 2)
    value.backward()
    # d (|w| - 1)^2 / dw = 2 (|w| - 1) w / |w|
    assert w.grad.tolist() == pytest.approx([2 * (3**0.5 - 1) / 3**0.5 * x for x in w.tolist()])


def test_r1_depends_on_real_images_alone():
    real, fake = torch.full((2, 1, 2, 2), 3.0), torch.full((2, 1, 2, 2), 100.0)
    value = r1(lambda x: x.flatten(1).square().sum(1, keepdim=True) / 2, real, fake, gamma=1.0)
    assert value.item() == pytest.approx(4 * 9 / 2)  # the gradient is x


def test_the_gradient_penalty_is_measured_between_a_real_and_a_generated_image():
    inputs = []
    real, fake = torch.zeros(50, 1, 2, 2), torch.ones(50, 1, 2, 2)
    gradient_penalty(lambda x: inputs.append(x) or x.flatten(1).sum(1, keepdim=True), real, fake)
    fractions = inputs[0].flatten(1)
    assert torch.equal(fractions, fractions[:, :1].expand_as(fractions))  # one fraction for each pair
    assert len(fractions[:, 0].unique()) == 50
    assert 0 <= fractions.min() < 0.3 < 0.7 < fractions.max() <= 1


def test_the_default_gamma_by_hand():
    assert default_gamma(64, 64) == pytest.approx(0.0128)


def test_a_penalty_goes_with_wgan_gp_and_with_r1():
    assert build_penalty(small_gan().gan) is None
    w, real, fake = linear()
    score = lambda x: x.flatten(1) @ w[:, None]  # noqa: E731
    penalties = {
        name: build_penalty(small_gan(discriminator_outputs=1, **keys).gan)(score, real, fake).item()
        for name, keys in {
            "wgan_gp": {"loss": "wgan_gp"},
            "r1": {"regularizer": "r1", "r1_gamma": 2.0},
            "r1_r2": {"regularizer": "r1_r2", "r1_gamma": 2.0},
        }.items()
    }
    assert penalties == pytest.approx({"wgan_gp": 10 * (3**0.5 - 1) ** 2, "r1": 3, "r1_r2": 6})


def test_r2_is_r1_at_generated_images():
    real, fake = torch.full((2, 1, 2, 2), 3.0), torch.full((2, 1, 2, 2), 5.0)
    value = r1_r2(lambda x: x.flatten(1).square().sum(1, keepdim=True) / 2, real, fake, gamma=1.0)
    assert value.item() == pytest.approx(4 * 9 / 2 + 4 * 25 / 2)


def test_a_penalty_reaches_the_discriminators_weights():
    torch.manual_seed(0)
    network = Discriminator(4, 1, 32, 1)
    input_gradient(network, torch.randn(4, 1, 32, 32)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters() if parameter.dim() == 4)


def test_a_penalty_is_minimized_as_many_times_as_steps_pass_between_and_is_in_no_metric():
    real, z = torch.rand(4, 1, 32, 32) * 2 - 1, torch.randn(4, 8)
    metrics, minimized = [], []
    for penalty in (None, lambda score, real, generated: torch.tensor(7.0)):
        objective = AdversarialObjective(BCE, penalty, penalty_every=16)
        losses: list[torch.Tensor] = []
        networks = small_pair()[:2]
        metrics.append(adversarial_step(*networks, frozen_optimizers(), real, z, objective, backward=losses.append))
        minimized.append([loss.item() for loss in losses])
    assert metrics[0] == metrics[1]
    assert minimized[1] == pytest.approx([minimized[0][0] + 16 * 7, minimized[0][1]])


R1 = {"regularizer": "r1", "r1_gamma": 0.1, "discriminator_outputs": 1}


@pytest.mark.parametrize(
    ("keys", "steps"),
    [(R1 | {"r1_every": 2}, [0, 2, 4]), (R1 | {"r1_every": 1}, [*range(6)]), (R1, [0]), ({"loss": "bce"}, [])],
)
def test_r1_is_measured_in_the_first_and_every_so_many_steps(tmp_path, keys, steps):
    model = small_gan(**keys)
    measured = []

    def penalty(discriminator, real, generated):
        measured.append(model.global_step // 2)
        return torch.zeros(())

    if model.objective.penalty is not None:
        model.objective = replace(model.objective, penalty=penalty)
    fit(model, tmp_path, epochs=2)
    assert model.global_step == 2 * 6
    assert measured == steps


def frozen_optimizers() -> list[torch.optim.Optimizer]:
    """Return optimizers that leave the networks as they are."""
    return [torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1) for _ in range(2)]


# The discriminator's normalisation


def layer_types(network: torch.nn.Module) -> set[type]:
    return {type(child) for child in network.modules()}


def test_a_wasserstein_critic_with_penalty_normalises_each_image_by_itself():
    model = small_gan(loss="wgan_gp", discriminator_outputs=1)
    assert torch.nn.BatchNorm2d not in layer_types(model.discriminator)
    images = torch.randn(3, 1, 32, 32)
    alone = torch.cat([model.discriminator(image[None]) for image in images])
    torch.testing.assert_close(model.discriminator(images), alone)


def test_spectral_norm_bounds_every_layer_and_replaces_batch_norm():
    torch.manual_seed(0)
    network = Discriminator(4, 1, 32, 1, classes=3, normalisation="spectral")
    assert torch.nn.BatchNorm2d not in layer_types(network)
    for _ in range(30):  # of the power iteration
        network(torch.randn(4, 1, 32, 32), torch.tensor([0, 1, 2, 0]))
    layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.Embedding)]
    assert len(layers) == 3 + 1 + 1
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


# DiffAugment


def random_images(count: int = 6, channels: int = 3, side: int = 32) -> torch.Tensor:
    return torch.rand(count, channels, side, side) * 2 - 1


def test_the_configuration_names_every_augmentation():
    assert tuple(AUGMENTATIONS) == AUGMENTATION_NAMES


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_augmentation_keeps_the_shape_and_lets_gradients_through(name):
    images = random_images().requires_grad_()
    augmented = AUGMENTATIONS[name](images)
    assert (augmented.shape, augmented.dtype) == (images.shape, images.dtype)
    augmented.sum().backward()
    assert (images.grad.flatten(1).abs().sum(1) > 0).all()


@pytest.mark.parametrize("name", ["brightness", "saturation", "contrast", "color", "translation", "cutout"])
def test_every_image_has_its_own_draw(name):
    torch.manual_seed(0)
    copies = random_images(1).expand(12, -1, -1, -1)
    augmented = getattr(augmentation, name)(copies)
    assert len(augmented.flatten(1).unique(dim=0)) > 6


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_each_call_draws_anew(name):
    torch.manual_seed(0)
    images = random_images()
    assert not torch.equal(AUGMENTATIONS[name](images), AUGMENTATIONS[name](images))


def test_brightness_adds_one_number_to_an_image():
    torch.manual_seed(0)
    images = random_images(200)
    added = (augmentation.brightness(images) - images).flatten(1)
    torch.testing.assert_close(added, added[:, :1].expand_as(added), atol=1e-5, rtol=0)
    assert -0.5 <= added.min() < -0.45 < 0.45 < added.max() <= 0.5


def test_saturation_keeps_the_mean_of_the_channels():
    torch.manual_seed(0)
    images = random_images(200)
    augmented = augmentation.saturation(images)
    torch.testing.assert_close(augmented.mean(1), images.mean(1))
    factors = (augmented - augmented.mean(1, keepdim=True)).flatten(1).norm(dim=1)
    factors = factors / (images - images.mean(1, keepdim=True)).flatten(1).norm(dim=1)
    assert 0 <= factors.min() < 0.1 < 1.9 < factors.max() <= 2
    grey = images[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(augmentation.saturation(grey), grey)


def test_contrast_keeps_the_mean_of_the_image():
    torch.manual_seed(0)
    images = random_images(200)
    augmented = augmentation.contrast(images)
    torch.testing.assert_close(augmented.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=1e-6, rtol=0)
    factors = augmented.flatten(1).std(1) / images.flatten(1).std(1)
    assert 0.5 <= factors.min() < 0.55 < 1.45 < factors.max() <= 1.5


def test_translation_moves_by_up_to_an_eighth_and_fills_with_zero():
    torch.manual_seed(0)
    images = random_images(200, 1, 16)
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))  # every shifted image is a window of this
    shifted = augmentation.translation(images)
    windows = {(y, x): padded[:, :, y : y + 16, x : x + 16] for y in range(5) for x in range(5)}
    fits = torch.stack([(window == shifted).flatten(1).all(1) for window in windows.values()])
    assert (fits.sum(0) == 1).all()
    assert fits.any(1).all()  # each of the 25 shifts occurs


def test_cutout_hides_the_part_within_the_image_of_a_square_of_a_quarter_of_its_area():
    torch.manual_seed(0)
    hidden = augmentation.cutout(torch.ones(300, 3, 16, 16)) == 0
    assert torch.equal(hidden[:, 0], hidden[:, 2])
    rows, columns = hidden[:, 0].any(2).sum(1), hidden[:, 0].any(1).sum(1)
    assert torch.equal(hidden[:, 0].sum((1, 2)), rows * columns)  # a rectangle
    areas = hidden[:, 0].float().mean((1, 2))
    assert areas.max() == 0.25
    assert (areas == 0.25).float().mean() > 0.15
    assert (rows <= 8).all()
    assert rows.min() < 8
    assert not hidden[:, 0, 8, 8].all()  # the centre is not always hidden


def test_no_policy_changes_nothing_and_draws_nothing():
    images = random_images()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    assert diffaugment(images, None) is images
    assert torch.equal(torch.rand(1), expected)


def test_a_policy_applies_its_augmentations_one_after_the_other():
    images = random_images()
    torch.manual_seed(1)
    expected = augmentation.cutout(augmentation.color(images))
    torch.manual_seed(1)
    assert torch.equal(diffaugment(images, "color, cutout"), expected)


def test_images_are_augmented_for_the_updates_of_both_networks():
    generator, discriminator, optimizers = small_pair()
    calls = []
    real, z = torch.rand(4, 1, 32, 32), torch.randn(4, 8)
    objective = AdversarialObjective(BCE, augment=lambda x: calls.append(x.requires_grad) or x)
    adversarial_step(generator, discriminator, optimizers, real, z, objective)
    assert calls == [False, False, True]  # real and generated for D; generated, with its gradient, for G


def test_half_of_the_images_are_flipped():
    torch.manual_seed(0)
    images = random_images(400, 1, 8)
    augmented = random_flip(images)
    flipped = torch.tensor([torch.equal(a, b.flip(2)) for a, b in zip(augmented, images, strict=True)])
    kept = torch.tensor([torch.equal(a, b) for a, b in zip(augmented, images, strict=True)])
    assert (flipped ^ kept).all()
    assert 0.4 < flipped.float().mean() < 0.6


# The average of the weights


def test_after_a_half_life_half_of_the_old_weights_remain():
    average, network = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    with torch.no_grad():
        average.weight.fill_(1.0)
        network.weight.fill_(0.0)
        average.requires_grad_(False)
        for step in range(5000 // 50):
            update_average(average, network, compute_decay(50, 10**6 + 50 * step, half_life=5000))
    assert average.weight.flatten().tolist() == pytest.approx([0.5] * 4)


def test_the_half_life_is_never_more_than_a_twentieth_of_the_images_seen():
    assert compute_decay(64, 64, 5000) == pytest.approx(0.5**20)  # the first weights are forgotten at once
    assert compute_decay(64, 6400, 5000) == pytest.approx(0.5 ** (64 / 320))
    assert compute_decay(64, 10**6, 5000) == pytest.approx(0.5 ** (64 / 5000))


def test_statistics_are_copied_and_the_average_is_updated_in_place():
    network, average = torch.nn.BatchNorm2d(2), torch.nn.BatchNorm2d(2).requires_grad_(False)
    network(torch.randn(4, 2, 3, 3) + 5)
    address = average.weight.data_ptr()
    update_average(average, network, 0.9)
    assert torch.equal(average.running_mean, network.running_mean)
    assert average.num_batches_tracked == 1
    assert average.weight.data_ptr() == address


def test_a_checkpoint_makes_images_with_the_average(tmp_path):
    model = small_gan(ema=1000)
    fit(model, tmp_path, epochs=2).save_checkpoint(tmp_path / "last.ckpt")
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert {f"average.{name}" for name in model.generator.state_dict()} <= set(state)
    trained = TrainedGenerator.load(tmp_path / "last.ckpt")
    assert torch.equal(trained.generator.to_image.weight, model.average.to_image.weight)
    assert not torch.equal(trained.generator.to_image.weight, model.generator.to_image.weight)
    assert model.sampler is model.average
    assert (sample(model.sampler, range(2), 1) == trained.sample(range(2), "cat")).all()


class Seeded(lightning.Callback):
    """Set the random state, which Lightning does not restore."""

    def on_train_epoch_start(self, trainer, pl_module):
        torch.manual_seed(trainer.current_epoch)


def test_training_resumes_exactly_with_its_average(tmp_path):
    torch.manual_seed(0)
    straight, resumed = small_gan(**EVERYTHING), small_gan(**EVERYTHING)
    batches = [(torch.rand(4, 1, 32, 32), torch.zeros(4)) for _ in range(3)]

    def train(model: DCGAN, epochs: int, checkpoint: Path | None = None) -> lightning.Trainer:
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            default_root_dir=tmp_path,
            logger=False,
            enable_checkpointing=False,
            callbacks=[Seeded()],
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        loader = DataLoader(batches, batch_size=None, generator=torch.Generator())  # with its own random state
        trainer.fit(model, loader, ckpt_path=checkpoint, weights_only=True)
        return trainer

    start = {name: value.clone() for name, value in straight.state_dict().items()}
    train(straight, 4)
    first = small_gan(**EVERYTHING)
    first.load_state_dict(start)
    train(first, 2).save_checkpoint(tmp_path / "half.ckpt")
    train(resumed, 4, tmp_path / "half.ckpt")
    for (name, value), expected in zip(resumed.state_dict().items(), straight.state_dict().values(), strict=True):
        assert torch.equal(value, expected), name


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize(
    "changes",
    [
        EVERYTHING,
        {"loss": "lsgan", **R1, "r1_every": 2},
        {"loss": "wgan_gp", "discriminator_outputs": 1, "diffaugment": "translation"},
        {"loss": "bce", "regularizer": "spectral_norm"},
        {"loss": "relativistic", **R1, "regularizer": "r1_r2", "lecam": 0.1, "r1_every": 2},
    ],
    ids=lambda changes: changes["loss"],
)
def test_every_loss_trains_both_networks(tmp_path, changes, precision):
    torch.manual_seed(0)
    model = small_gan(**changes)
    before = {name: value.clone() for name, value in model.named_parameters()}
    fit(model, tmp_path, precision=precision)
    assert not any(torch.equal(before[name], value) for name, value in model.named_parameters())
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


@pytest.mark.parametrize(("rate", "expected"), [(1e-3, [2e-4, 1e-3]), (None, [2e-4, 2e-4])])
def test_the_discriminator_may_have_its_own_learning_rate(rate, expected):
    optimizers = small_gan(discriminator_learning_rate=rate).configure_optimizers()
    assert [optimizer.defaults["lr"] for optimizer in optimizers] == expected


# Configuration


def test_the_papers_gan_has_none_of_this(read):
    gan = read("experiment=full").gan
    assert (gan.loss, gan.discriminator_outputs, gan.regularizer, gan.gamma) == ("bce", 2, "none", None)
    assert (gan.ema, gan.diffaugment, gan.random_flip, gan.conditional) == (None, None, False, False)
    assert (gan.discriminator_learning_rate, gan.epochs_for(13), gan.latent_dim) == (None, 300, 100)


def test_images_seen_set_the_number_of_epochs(read):
    gan = read("gan.images_seen=246000", "gan.batch_size=64").gan
    assert gan.epochs_for(13) == 296  # 246000 / (13 * 64) = 295.7
    assert gan.epochs_for(1) == 3844


def test_the_weight_of_r1_is_the_default_gamma_or_r1_gamma(read):
    r1_keys = ["gan.regularizer=r1", "gan.discriminator_outputs=1", "gan.batch_size=64", "gan.image_size=64"]
    assert read(*r1_keys).gan.gamma == pytest.approx(0.0128)
    assert read(*r1_keys, "gan.r1_gamma=0.5").gan.gamma == 0.5


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["gan.loss=hinge"], r"loss=hinge: needs gan\.discriminator_outputs=1, not 2"),
        (["gan.loss=wgan_gp"], r"loss=wgan_gp: needs gan\.discriminator_outputs=1, not 2"),
        (["gan.regularizer=r1"], r"regularizer=r1: needs gan\.discriminator_outputs=1, not 2"),
        (["gan.conditional=true"], r"conditional=true: needs gan\.discriminator_outputs=1, not 2"),
        (
            ["gan.loss=wgan_gp", "gan.discriminator_outputs=1", "gan.regularizer=r1"],
            r"regularizer=r1: loss=wgan_gp has its own gradient penalty; use gan\.regularizer=none",
        ),
        (["gan.r1_gamma=0.1"], r"r1_gamma=0\.1: is for regularizer=r1 and r1_r2, not none; use gan\.r1_g"),
        (["gan.lecam=0.1"], r"lecam=0\.1: needs gan\.discriminator_outputs=1, not 2"),
        (
            ["gan.loss=relativistic", "gan.regularizer=r1_r2", "gan.r1_gamma=0.3"],
            r"loss=relativistic: needs gan\.discriminator_outputs=1, not 2",
        ),
        (["gan.loss=relativistic"], r"loss=relativistic: needs both penalties .*; use gan\.regularizer=r1_r2 and"),
        (["gan.loss=relativistic", "gan.regularizer=r1_r2"], r"here regularizer=r1_r2 and r1_gamma=None; use gan\.r"),
        (["gan.ada_target=0.6"], r"ada_target=0\.6: adapts the probability .* in gan\.diffaugment, which is null"),
        (
            ["gan=conditional", "gan.ada_target=0.6", "gan.diffaugment=color", "gan.loss=lsgan"],
            r"ada_target=0\.6: needs logits whose sign says .* use gan\.loss=bce or hinge",
        ),
        (
            ["gan.transition=[0.2,0.6]"],
            r"transition=\[0\.2, 0\.6\]: is from a GAN without classes .*use gan=conditional",
        ),
        (["gan=conditional", "gan.transition=[0.6,0.2]"], r"gan\.transition=\[0\.6, 0\.2\]: is the shares of the tr"),
        (
            ["gan=conditional", "gan.target_class=angry"],
            r"target_class=angry: a conditional GAN .*gan\.target_class=null, or gan\.conditional=false",
        ),
        (
            ["gan.diffaugment='color,colour'"],
            r"gan\.diffaugment=.*'colour'; give one or more of color, translation, cutout",
        ),
        (["gan.ema=0"], r"gan\.ema=0: .*greater than or equal to 1"),
        (["gan.regularizer=r2"], r"gan\.regularizer='r2': .*'none', 'r1', 'r1_r2' or 'spectral_norm'"),
    ],
)
def test_values_that_do_not_fit_together_are_refused_by_key(read, overrides, message):
    with pytest.raises(ConfigError, match=message):
        read(*overrides)


def test_old_checkpoints_still_load(tmp_path):
    model = small_gan()
    fit(model, tmp_path, epochs=1).save_checkpoint(tmp_path / "last.ckpt")
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    saved["hyper_parameters"] = {
        "latent_dim": 8,
        "width": 4,
        "channels": 1,
        "image_size": 32,
        "discriminator_outputs": 2,
        "loss": "non_saturating",
        "learning_rate": 2e-4,
        "betas": [0.5, 0.999],
        "provenance": PROVENANCE,
    }
    torch.save(saved, tmp_path / "old.ckpt")
    trained = TrainedGenerator.load(tmp_path / "old.ckpt")
    assert trained.label == "cat"
    assert trained.checkpoint_hash == TrainedGenerator.load(tmp_path / "last.ckpt").checkpoint_hash


def test_the_weights_of_unconditional_networks_keep_their_names():
    names = list(Generator(8, 4, 1, 32).state_dict())
    assert names[:3] == ["blocks.0.0.weight", "blocks.0.1.weight", "blocks.0.1.bias"]
    assert names[-1] == "to_image.weight"
    assert list(Discriminator(4, 1, 32).state_dict())[:2] == ["blocks.0.0.weight", "blocks.1.0.weight"]
