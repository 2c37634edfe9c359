"""How the GAN is trained beyond the paper: penalties, augmentation, averages, against closed forms and by hand."""

from pathlib import Path

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from fer_experiments.errors import ConfigError
from fer_experiments.gan import diffaugment as augmentation
from fer_experiments.gan.averaging import decay, update_average
from fer_experiments.gan.diffaugment import AUGMENTATIONS, diffaugment, mirrored
from fer_experiments.gan.losses import BCE
from fer_experiments.gan.module import DCGAN
from fer_experiments.gan.networks import Discriminator, Generator
from fer_experiments.gan.penalties import default_gamma, gradient_penalty, input_gradient, penalty_of, r1
from fer_experiments.gan.sampling import TrainedGenerator, sample
from fer_experiments.gan.step import adversarial_step
from tests.test_gan import fit, module, small_pair

EVERYTHING = {
    "discriminator_outputs": 1,
    "loss": "hinge",
    "discriminator_learning_rate": 4e-4,
    "ema": 40,
    "diffaugment": "color,translation,cutout",
    "mirror": True,
}


# Penalties


def linear(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """w of D(x) = w x, of length sqrt(3), with real and generated images (4, 1, 2, 2)."""
    w = torch.tensor([1.0, -1.0, 0.0, 1.0], requires_grad=True)
    torch.manual_seed(seed)
    return w, torch.randn(4, 1, 2, 2), torch.randn(4, 1, 2, 2)


def test_r1_of_a_linear_discriminator_is_half_gamma_times_the_square_of_its_weights():
    w, real, fake = linear()
    value = r1(lambda x: x.flatten(1) @ w[:, None], real, fake, gamma=5.0)
    assert value.item() == pytest.approx(5 / 2 * 3)
    value.backward()
    assert w.grad.tolist() == pytest.approx([5.0, -5.0, 0.0, 5.0])  # gamma w


def test_gradient_penalty_of_a_linear_discriminator_is_its_lengths_distance_from_one():
    w, real, fake = linear()
    value = gradient_penalty(lambda x: x.flatten(1) @ w[:, None], real, fake)
    assert value.item() == pytest.approx((3**0.5 - 1) ** 2)
    value.backward()
    # d (|w| - 1)^2 / dw = 2 (|w| - 1) w / |w|
    assert w.grad.tolist() == pytest.approx([2 * (3**0.5 - 1) / 3**0.5 * x for x in w.tolist()])


def test_r1_of_a_quadratic_discriminator_looks_at_real_images_alone():
    real, fake = torch.full((2, 1, 2, 2), 3.0), torch.full((2, 1, 2, 2), 100.0)
    value = r1(lambda x: x.flatten(1).square().sum(1, keepdim=True) / 2, real, fake, gamma=1.0)
    assert value.item() == pytest.approx(4 * 9 / 2)  # the gradient is x


def test_the_gradient_penalty_looks_between_pairs():
    seen = []
    real, fake = torch.zeros(50, 1, 2, 2), torch.ones(50, 1, 2, 2)
    gradient_penalty(lambda x: seen.append(x) or x.flatten(1).sum(1, keepdim=True), real, fake)
    shares = seen[0].flatten(1)
    assert torch.equal(shares, shares[:, :1].expand_as(shares))  # one share for each pair
    assert len(shares[:, 0].unique()) == 50
    assert 0 <= shares.min() < 0.3 < 0.7 < shares.max() <= 1


def test_the_heuristic_for_r1_by_hand():
    assert default_gamma(64, 64) == pytest.approx(0.0128)


def test_a_penalty_is_there_where_it_is_asked_for():
    assert penalty_of("bce", None) is None
    w, real, fake = linear()
    score = lambda x: x.flatten(1) @ w[:, None]  # noqa: E731
    assert penalty_of("wgan_gp", None)(score, real, fake).item() == pytest.approx(10 * (3**0.5 - 1) ** 2)
    assert penalty_of("hinge", 2.0)(score, real, fake).item() == pytest.approx(3)


def test_a_penalty_reaches_the_discriminators_weights():
    torch.manual_seed(0)
    network = Discriminator(4, 1, 32, 1)
    input_gradient(network, torch.randn(4, 1, 32, 32)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters() if parameter.dim() == 4)


def test_a_steps_penalty_is_part_of_the_discriminators_loss_alone():
    real, z = torch.rand(4, 1, 32, 32) * 2 - 1, torch.randn(4, 8)
    plain, penalised = (
        adversarial_step(*small_pair()[:2], frozen_optimizers(), real, z, BCE, penalty=penalty)
        for penalty in (None, lambda score, real, generated: torch.tensor(7.0))
    )
    assert (penalised - plain).tolist() == pytest.approx([7, 0, 0, 0], abs=1e-5)


def frozen_optimizers() -> list[torch.optim.Optimizer]:
    return [torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1) for _ in range(2)]


# The discriminator's normalisation


def kinds(network: torch.nn.Module) -> set[type]:
    return {type(child) for child in network.modules()}


def test_wasserstein_with_penalty_normalises_each_image_by_itself():
    model = module(loss="wgan_gp", discriminator_outputs=1)
    assert torch.nn.BatchNorm2d not in kinds(model.discriminator)
    images = torch.randn(3, 1, 32, 32)
    alone = torch.cat([model.discriminator(image[None]) for image in images])
    torch.testing.assert_close(model.discriminator(images), alone)


def test_spectral_norm_bounds_every_layer_in_the_place_of_batch_norm():
    torch.manual_seed(0)
    network = Discriminator(4, 1, 32, 1, classes=3, normalisation="spectral")
    assert torch.nn.BatchNorm2d not in kinds(network)
    for _ in range(30):  # of the power iteration
        network(torch.randn(4, 1, 32, 32), torch.tensor([0, 1, 2, 0]))
    layers = [layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d | torch.nn.Embedding)]
    assert len(layers) == 3 + 1 + 1
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


# DiffAugment


def images(count: int = 6, channels: int = 3, side: int = 32) -> torch.Tensor:
    return torch.rand(count, channels, side, side) * 2 - 1


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_augmentation_keeps_the_shape_and_lets_gradients_through(name):
    given = images().requires_grad_()
    made = AUGMENTATIONS[name](given)
    assert (made.shape, made.dtype) == (given.shape, given.dtype)
    made.sum().backward()
    assert (given.grad.flatten(1).abs().sum(1) > 0).all()


@pytest.mark.parametrize("name", ["brightness", "saturation", "contrast", "color", "translation", "cutout"])
def test_every_image_has_a_draw_of_its_own(name):
    torch.manual_seed(0)
    same = images(1).expand(12, -1, -1, -1)
    made = getattr(augmentation, name)(same)
    assert len(made.flatten(1).unique(dim=0)) > 6


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_two_calls_draw_anew(name):
    torch.manual_seed(0)
    given = images()
    assert not torch.equal(AUGMENTATIONS[name](given), AUGMENTATIONS[name](given))


def test_brightness_adds_one_number_to_an_image():
    torch.manual_seed(0)
    given = images(200)
    added = (augmentation.brightness(given) - given).flatten(1)
    torch.testing.assert_close(added, added[:, :1].expand_as(added), atol=1e-5, rtol=0)
    assert -0.5 <= added.min() < -0.45 < 0.45 < added.max() <= 0.5


def test_saturation_keeps_the_mean_of_the_channels():
    torch.manual_seed(0)
    given = images(200)
    made = augmentation.saturation(given)
    torch.testing.assert_close(made.mean(1), given.mean(1))
    factors = (made - made.mean(1, keepdim=True)).flatten(1).norm(dim=1)
    factors = factors / (given - given.mean(1, keepdim=True)).flatten(1).norm(dim=1)
    assert 0 <= factors.min() < 0.1 < 1.9 < factors.max() <= 2
    grey = given[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(augmentation.saturation(grey), grey)


def test_contrast_keeps_the_mean_of_the_image():
    torch.manual_seed(0)
    given = images(200)
    made = augmentation.contrast(given)
    torch.testing.assert_close(made.mean((1, 2, 3)), given.mean((1, 2, 3)), atol=1e-6, rtol=0)
    factors = made.flatten(1).std(1) / given.flatten(1).std(1)
    assert 0.5 <= factors.min() < 0.55 < 1.45 < factors.max() <= 1.5


def test_translation_moves_by_up_to_an_eighth_and_fills_with_zero():
    torch.manual_seed(0)
    given = images(200, 1, 16)
    wide = torch.nn.functional.pad(given, (2, 2, 2, 2))  # of which every shift is a window
    made = augmentation.translation(given)
    windows = {(y, x): wide[:, :, y : y + 16, x : x + 16] for y in range(5) for x in range(5)}
    fits = torch.stack([(window == made).flatten(1).all(1) for window in windows.values()])
    assert (fits.sum(0) == 1).all()
    assert fits.any(1).all()  # each of the 25 shifts comes


def test_cutout_hides_a_square_of_a_quarter_of_the_area_or_what_of_it_lies_within():
    torch.manual_seed(0)
    gone = augmentation.cutout(torch.ones(300, 3, 16, 16)) == 0
    assert torch.equal(gone[:, 0], gone[:, 2])
    rows, columns = gone[:, 0].any(2).sum(1), gone[:, 0].any(1).sum(1)
    assert torch.equal(gone[:, 0].sum((1, 2)), rows * columns)  # a rectangle
    areas = gone[:, 0].float().mean((1, 2))
    assert areas.max() == 0.25
    assert (areas == 0.25).float().mean() > 0.15
    assert (rows <= 8).all()
    assert rows.min() < 8
    assert not gone[:, 0, 8, 8].all()  # the centre is not always hidden


def test_no_policy_changes_nothing_and_draws_nothing():
    given = images()
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    assert diffaugment(given, None) is given
    assert torch.equal(torch.rand(1), expected)


def test_a_policy_is_its_words_one_after_the_other():
    given = images()
    torch.manual_seed(1)
    expected = augmentation.cutout(augmentation.color(given))
    torch.manual_seed(1)
    assert torch.equal(diffaugment(given, "color, cutout"), expected)


def test_both_networks_steps_see_augmented_images():
    generator, discriminator, optimizers = small_pair()
    calls = []
    real, z = torch.rand(4, 1, 32, 32), torch.randn(4, 8)
    adversarial_step(
        generator, discriminator, optimizers, real, z, BCE, augment=lambda x: calls.append(x.requires_grad) or x
    )
    assert calls == [False, False, True]  # real and generated for D; generated, with its gradient, for G


def test_half_of_the_images_are_mirrored():
    torch.manual_seed(0)
    given = images(400, 1, 8)
    made = mirrored(given)
    flipped = torch.tensor([torch.equal(a, b.flip(2)) for a, b in zip(made, given, strict=True)])
    kept = torch.tensor([torch.equal(a, b) for a, b in zip(made, given, strict=True)])
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
            update_average(average, network, decay(50, 10**6 + 50 * step, half_life=5000))
    assert average.weight.flatten().tolist() == pytest.approx([0.5] * 4)


def test_the_half_life_is_never_more_than_a_twentieth_of_the_images_seen():
    assert decay(64, 64, 5000) == pytest.approx(0.5**20)  # the first weights are forgotten at once
    assert decay(64, 6400, 5000) == pytest.approx(0.5 ** (64 / 320))
    assert decay(64, 10**6, 5000) == pytest.approx(0.5 ** (64 / 5000))


def test_statistics_are_copied_and_the_average_stays_where_it_is():
    network, average = torch.nn.BatchNorm2d(2), torch.nn.BatchNorm2d(2).requires_grad_(False)
    network(torch.randn(4, 2, 3, 3) + 5)
    address = average.weight.data_ptr()
    update_average(average, network, 0.9)
    assert torch.equal(average.running_mean, network.running_mean)
    assert average.num_batches_tracked == 1
    assert average.weight.data_ptr() == address


def test_the_average_is_what_a_checkpoint_makes_images_of(tmp_path):
    model = module(ema=1000)
    fit(model, tmp_path, epochs=2).save_checkpoint(tmp_path / "last.ckpt")
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert {f"average.{name}" for name in model.generator.state_dict()} <= set(state)
    trained = TrainedGenerator.load(tmp_path / "last.ckpt")
    assert torch.equal(trained.generator.to_image.weight, model.average.to_image.weight)
    assert not torch.equal(trained.generator.to_image.weight, model.generator.to_image.weight)
    assert model.sampler is model.average
    assert (sample(model.sampler, range(2), 1) == trained.sample(range(2), "cat")).all()


class Seeded(lightning.Callback):
    """The random state that Lightning does not restore."""

    def on_train_epoch_start(self, trainer, pl_module):
        torch.manual_seed(trainer.current_epoch)


def test_training_resumes_exactly_with_its_average(tmp_path):
    torch.manual_seed(0)
    straight, resumed = module(**EVERYTHING), module(**EVERYTHING)
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
        loader = DataLoader(batches, batch_size=None, generator=torch.Generator())  # which draws nothing of ours
        trainer.fit(model, loader, ckpt_path=checkpoint, weights_only=True)
        return trainer

    start = {name: value.clone() for name, value in straight.state_dict().items()}
    train(straight, 4)
    first = module(**EVERYTHING)
    first.load_state_dict(start)
    train(first, 2).save_checkpoint(tmp_path / "half.ckpt")
    train(resumed, 4, tmp_path / "half.ckpt")
    for (name, mine), other in zip(resumed.state_dict().items(), straight.state_dict().values(), strict=True):
        assert torch.equal(mine, other), name


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize(
    "changes",
    [
        EVERYTHING,
        {"loss": "lsgan", "discriminator_outputs": 1, "r1_gamma": 0.1},
        {"loss": "wgan_gp", "discriminator_outputs": 1, "diffaugment": "translation"},
        {"loss": "bce", "spectral_norm": True},
    ],
    ids=lambda changes: changes["loss"],
)
def test_every_loss_trains_both_networks(tmp_path, changes, precision):
    torch.manual_seed(0)
    model = module(**changes)
    before = {name: value.clone() for name, value in model.named_parameters()}
    fit(model, tmp_path, precision=precision)
    assert not any(torch.equal(before[name], value) for name, value in model.named_parameters())
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_the_discriminator_has_a_learning_rate_of_its_own():
    rates = [optimizer.defaults["lr"] for optimizer in module(discriminator_learning_rate=1e-3).configure_optimizers()]
    assert rates == [2e-4, 1e-3]
    assert [optimizer.defaults["lr"] for optimizer in module().configure_optimizers()] == [2e-4, 2e-4]


# Configuration


def test_the_papers_gan_has_none_of_this(read):
    gan = read("experiment=full").gan
    assert (gan.loss, gan.discriminator_outputs, gan.regularizer, gan.gamma) == ("bce", 2, "none", None)
    assert (gan.ema, gan.diffaugment, gan.mirror, gan.conditional) == (None, None, False, False)
    assert (gan.discriminator_learning_rate, gan.epochs_of(13), gan.latent_dim) == (None, 300, 100)


def test_images_seen_stand_for_epochs(read):
    gan = read("gan.images_seen=246000", "gan.batch_size=64").gan
    assert gan.epochs_of(13) == 296  # 246000 / (13 * 64) = 295.7
    assert gan.epochs_of(1) == 3844


def test_r1_has_its_heuristic_or_what_is_given(read):
    r1_keys = ["gan.regularizer=r1", "gan.discriminator_outputs=1", "gan.batch_size=64"]
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
            r"regularizer=r1: loss=wgan_gp has a gradient penalty of its own; use gan\.regularizer=none",
        ),
        (["gan.r1_gamma=0.1"], r"r1_gamma=0\.1: is for regularizer=r1, not none; use gan\.r1_gamma=null"),
        (
            ["gan=conditional", "gan.target_class=angry"],
            r"target_class=angry: a conditional GAN .*gan\.target_class=null, or gan\.conditional=false",
        ),
        (["gan.diffaugment='color,colour'"], r"gan\.diffaugment=.*'colour'; give some of color, translation, cutout"),
        (["gan.ema=0"], r"gan\.ema=0: .*greater than or equal to 1"),
        (["gan.regularizer=r2"], r"gan\.regularizer='r2': .*'none', 'r1' or 'spectral_norm'"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_key(read, overrides, message):
    with pytest.raises(ConfigError, match=message):
        read(*overrides)


def test_old_checkpoints_still_load(tmp_path):
    model = module()
    fit(model, tmp_path, epochs=1).save_checkpoint(tmp_path / "last.ckpt")
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    new = ("classes", "discriminator_learning_rate", "spectral_norm", "r1_gamma", "ema", "diffaugment", "mirror")
    for key in new:
        del saved["hyper_parameters"][key]
    torch.save(saved, tmp_path / "old.ckpt")
    assert TrainedGenerator.load(tmp_path / "old.ckpt").label == "cat"


def test_unconditional_networks_are_named_as_ever():
    names = list(Generator(8, 4, 1, 32).state_dict())
    assert names[:3] == ["blocks.0.0.weight", "blocks.0.1.weight", "blocks.0.1.bias"]
    assert names[-1] == "to_image.weight"
    assert list(Discriminator(4, 1, 32).state_dict())[:2] == ["blocks.0.0.weight", "blocks.1.0.weight"]
