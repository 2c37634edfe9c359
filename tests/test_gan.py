"""The GAN: golden numbers, losses against closed forms, one step, checkpoints and sampling."""

import math
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

from fer_experiments.errors import ConfigError, NonFiniteError
from fer_experiments.gan import losses
from fer_experiments.gan.latents import draw_latents
from fer_experiments.gan.module import DCGAN
from fer_experiments.gan.networks import Discriminator, Generator
from fer_experiments.gan.sampling import sample
from fer_experiments.gan.step import AdversarialObjective, adversarial_step
from fer_experiments.gan.trained import TrainedGenerator
from tests.conftest import gan_config


def count_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# Networks: Tables 1 and 2


def test_generator_has_the_golden_number_of_parameters():
    assert count_parameters(Generator()) == 3_576_704


@pytest.mark.parametrize(("outputs", "golden"), [(1, 2_765_568), (2, 2_773_760)])
def test_discriminator_has_the_golden_number_of_parameters(outputs, golden):
    # Two outputs need 512 x 4 x 4 = 8,192 more weights than one.
    assert count_parameters(Discriminator(outputs=outputs)) == golden


def layer_shapes(network: torch.nn.Module, inputs: torch.Tensor) -> list[tuple[int, ...]]:
    """Return the shape, without the batch, of the output of each block."""
    shapes: list[tuple[int, ...]] = []
    for block in network.blocks:
        block.register_forward_hook(lambda module, args, output: shapes.append(tuple(output.shape[1:])))
    network(inputs)
    return shapes


def test_discriminator_layers_are_table_1():
    shapes = layer_shapes(Discriminator(), torch.zeros(2, 3, 64, 64))
    assert shapes == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]


def test_generator_layers_are_table_2():
    shapes = layer_shapes(Generator(), torch.zeros(2, 100))
    assert shapes == [(512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32)]
    assert Generator()(torch.zeros(2, 100)).shape == (2, 3, 64, 64)


@pytest.mark.parametrize("network", [Generator(), Discriminator()], ids=["generator", "discriminator"])
def test_activations_are_gelu_and_kernels_4(network):
    kinds = [type(module) for module in network.modules()]
    assert torch.nn.GELU in kinds
    assert not {torch.nn.ReLU, torch.nn.LeakyReLU} & set(kinds)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d)]
    assert len(convolutions) == 5
    assert all(module.kernel_size == (4, 4) and module.bias is None for module in convolutions)


@pytest.mark.parametrize("image_size", [32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("latent_dim", "width"), [(16, 8), (100, 4)])
def test_networks_fit_together_at_every_size(image_size, channels, latent_dim, width):
    images = Generator(latent_dim, width, channels, image_size)(torch.randn(2, latent_dim))
    assert images.shape == (2, channels, image_size, image_size)
    assert images.abs().max() <= 1
    assert Discriminator(width, channels, image_size)(images).shape == (2, 2)


def test_other_image_sizes_are_refused():
    with pytest.raises(ValueError, match="image_size=48: must be 32, 64 or 128"):
        Generator(image_size=48)


def test_generator_takes_latents_as_the_table_writes_them():
    generator = Generator(width=4).eval()
    z = torch.randn(2, 100)
    assert torch.equal(generator(z), generator(z[:, :, None, None]))


# Losses


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


@pytest.mark.parametrize("outputs", [1, 2])
def test_an_undecided_discriminator_costs_two_log_two(outputs):
    logits = torch.zeros(5, outputs)
    assert losses.discriminator_loss(logits, logits).item() == pytest.approx(2 * math.log(2))
    assert losses.non_saturating(logits).item() == pytest.approx(math.log(2))
    assert losses.minimax(logits).item() == pytest.approx(-math.log(2))


def test_one_output_losses_are_the_objective_by_hand():
    real, fake = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [-3.0]])
    # -log sigmoid(x) = softplus(-x), -log(1 - sigmoid(x)) = softplus(x)
    real_part = (softplus(-2) + softplus(1)) / 2
    fake_part = (softplus(0.5) + softplus(-3)) / 2
    assert losses.discriminator_loss(real, fake).item() == pytest.approx(real_part + fake_part)
    assert losses.non_saturating(fake).item() == pytest.approx((softplus(-0.5) + softplus(3)) / 2)
    assert losses.minimax(fake).item() == pytest.approx(-fake_part)


def test_two_output_losses_are_binary_cross_entropy_with_one_hot_targets():
    logits = torch.tensor([[2.0, -1.0]])
    assert losses.cross_entropy(logits, is_real=True).item() == pytest.approx((softplus(-2) + softplus(-1)) / 2)
    assert losses.cross_entropy(logits, is_real=False).item() == pytest.approx((softplus(2) + softplus(1)) / 2)
    by_bce = F.binary_cross_entropy(torch.sigmoid(logits), torch.tensor([[1.0, 0.0]]))
    assert losses.cross_entropy(logits, is_real=True).item() == pytest.approx(by_bce.item())


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
@pytest.mark.parametrize("outputs", [1, 2])
def test_generator_losses_push_the_logit_of_real_up(name, outputs):
    logits = torch.zeros(3, outputs, requires_grad=True)
    loss = losses.LOSSES[name]
    loss.generator(logits, *[torch.ones(3, outputs)] * loss.is_relativistic).backward()
    assert (logits.grad[:, 0] < 0).all()


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
def test_discriminator_losses_pull_real_and_fake_apart(name):
    real, fake = (torch.full((3, 1), 0.5, requires_grad=True) for _ in range(2))
    losses.LOSSES[name].discriminator(real, fake).backward()
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()


def test_non_saturating_is_another_name_of_bce():
    assert losses.LOSSES["non_saturating"] is losses.LOSSES["bce"]
    assert losses.BCE.generator is losses.non_saturating


def test_hinge_and_its_gradients_by_hand():
    real = torch.tensor([[2.0], [0.5]], requires_grad=True)  # past the margin, and 0.5 short of it
    fake = torch.tensor([[-3.0], [1.0]], requires_grad=True)  # past it, and 2 short
    loss = losses.LOSSES["hinge"]
    value = loss.discriminator(real, fake)
    value.backward()
    assert value.item() == pytest.approx(0.5 / 2 + 2 / 2)
    assert real.grad.flatten().tolist() == [0.0, -0.5]
    assert fake.grad.flatten().tolist() == [0.0, 0.5]
    assert loss.generator(fake).item() == pytest.approx(1.0)


def test_least_squares_by_hand():
    real, fake = torch.tensor([[2.0], [0.0]]), torch.tensor([[3.0], [-1.0]])
    loss = losses.LOSSES["lsgan"]
    assert loss.discriminator(real, fake).item() == pytest.approx((1 + 1) / 4 + (9 + 1) / 4)
    assert loss.generator(fake).item() == pytest.approx((4 + 4) / 4)
    assert loss.discriminator(torch.ones(3, 1), torch.zeros(3, 1)).item() == 0


def test_wasserstein_by_hand():
    real, fake = torch.tensor([[2.0], [4.0]]), torch.tensor([[3.0], [-1.0]])
    loss = losses.LOSSES["wgan_gp"]
    assert loss.discriminator(real, fake).item() == pytest.approx(1 - 3)
    assert loss.generator(fake).item() == pytest.approx(-1)


def test_the_relativistic_loss_by_hand():
    real, fake = torch.tensor([[2.0], [4.0]]), torch.tensor([[3.0], [-1.0]])
    loss = losses.LOSSES["relativistic"]
    assert loss.discriminator(real, fake).item() == pytest.approx((softplus(1) + softplus(-5)) / 2)
    assert loss.generator(fake, real).item() == pytest.approx((softplus(-1) + softplus(5)) / 2)


def test_scores_run_from_generated_to_real():
    logits = torch.tensor([[-9.0], [0.0], [1.0], [9.0]])
    assert losses.LOSSES["hinge"].score(logits).tolist() == [0, 0.5, 1, 1]
    assert losses.LOSSES["lsgan"].score(logits).tolist() == [0, 0, 1, 1]
    assert losses.LOSSES["bce"].score(logits)[1].item() == 0.5


def test_minimax_saturates_where_the_non_saturating_loss_does_not():
    gradients = {}
    for name in ("minimax", "non_saturating"):
        logits = torch.full((1, 1), -10.0, requires_grad=True)  # D is sure that the image is generated
        losses.LOSSES[name].generator(logits).backward()
        gradients[name] = logits.grad.abs().item()
    assert gradients["minimax"] < 1e-3 < 0.99 < gradients["non_saturating"]


# One step


BCE = AdversarialObjective(losses.BCE)
MINIMAX = AdversarialObjective(losses.LOSSES["minimax"])


def small_pair(seed: int = 0) -> tuple[Generator, Discriminator, list[torch.optim.Optimizer]]:
    """Build a generator, a discriminator and their optimizers."""
    torch.manual_seed(seed)
    pair = Generator(8, 4, 1, 32), Discriminator(4, 1, 32)
    return *pair, [torch.optim.SGD(network.parameters(), 0.1) for network in pair]


def test_a_step_updates_d_and_then_g():
    real, z = torch.rand(4, 1, 32, 32) * 2 - 1, torch.randn(4, 8)
    generator, discriminator, optimizers = small_pair()
    adversarial_step(generator, discriminator, optimizers, real, z, BCE)

    plain_g, plain_d, (step_g, step_d) = small_pair()
    step_d.zero_grad()
    losses.discriminator_loss(plain_d(real), plain_d(plain_g(z).detach())).backward()
    step_d.step()
    step_g.zero_grad()
    losses.non_saturating(plain_d(plain_g(z))).backward()  # G(z) again, with the same weights
    step_g.step()
    for ours, theirs in zip(generator.parameters(), plain_g.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    for ours, theirs in zip(discriminator.parameters(), plain_d.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_generators_step_leaves_the_discriminator_as_it_is():
    generator, discriminator, optimizers = small_pair()
    optimizers[1] = torch.optim.SGD(discriminator.parameters(), 0.0)
    before = [parameter.clone() for parameter in discriminator.parameters()]
    adversarial_step(generator, discriminator, optimizers, torch.rand(4, 1, 32, 32), torch.randn(4, 8), MINIMAX)
    assert all(torch.equal(a, b) for a, b in zip(before, discriminator.parameters(), strict=True))
    assert all(parameter.requires_grad for parameter in discriminator.parameters())


def test_a_step_measures_two_losses_and_two_scores():
    generator, discriminator, optimizers = small_pair()
    values = adversarial_step(generator, discriminator, optimizers, torch.rand(4, 1, 32, 32), torch.randn(4, 8), BCE)
    scores = ["gan/score_real", "gan/score_generated"]
    assert list(values) == ["gan/loss_discriminator", "gan/loss_generator", *scores]
    assert all(value.shape == () and not value.requires_grad for value in values.values())
    assert all(0 < values[name] < 1 for name in scores)


# The LightningModule


PROVENANCE = {"class": "cat", "split_hash": "abc", "stored_channels": 1, "seed": 0}


def small_gan(classes: list[str] | None = None, provenance: dict[str, Any] = PROVENANCE, **keys: Any) -> DCGAN:
    """Build a small GAN of 32 x 32 grey images. keys: of conf/gan/dcgan.yaml."""
    sizes = {"latent_dim": 8, "width": 4, "image_size": 32}
    gan = gan_config(**(sizes | {"loss": "non_saturating"} | keys))
    return DCGAN(gan, channels=1, provenance=provenance, classes=classes)


def fit(
    model: DCGAN, folder: Path, epochs: int = 2, callbacks=(), precision: str = "32-true", data=None
) -> lightning.Trainer:
    """Train on three batches of noise an epoch, or on the batches `data`."""
    data = data or [(torch.rand(4, 1, 32, 32), torch.zeros(4)) for _ in range(3)]
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        precision=precision,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=bool(callbacks),
        callbacks=list(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, DataLoader(data, batch_size=None))
    return trainer


def test_global_step_counts_both_optimizers(tmp_path):
    model = small_gan()
    assert fit(model, tmp_path).global_step == 2 * 3 * 2
    assert [row["step"] for row in model.history] == [3, 6]


def test_both_networks_learn(tmp_path):
    torch.manual_seed(0)
    model = small_gan()
    before = {name: value.clone() for name, value in model.named_parameters()}
    fit(model, tmp_path)
    assert not any(torch.equal(before[name], value) for name, value in model.named_parameters())


def test_nan_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path):
    class Poison(lightning.Callback):
        """Break a weight in the second epoch, after its last loss."""

        def on_train_batch_end(self, trainer, pl_module, *args):
            if trainer.current_epoch == 1 and trainer.fit_loop.epoch_loop.batch_idx == 2:
                with torch.no_grad():
                    next(pl_module.generator.parameters()).fill_(float("nan"))

    saver = lightning.pytorch.callbacks.ModelCheckpoint(
        tmp_path, filename="last", every_n_epochs=1, save_on_train_epoch_end=True, enable_version_counter=False
    )
    with pytest.raises(NonFiniteError, match=r"(?s)not finite in epoch 2; checkpoints/last\.ckpt.*gan\.learning_rate"):
        fit(small_gan(), tmp_path, epochs=4, callbacks=[Poison(), saver])
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert saved["epoch"] == 0
    assert all(value.isfinite().all() for value in saved["state_dict"].values())


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    with pytest.raises(NonFiniteError, match="a loss of the GAN is not finite in epoch 1"):
        fit(small_gan(learning_rate=1e30), tmp_path, epochs=3)


# Sampling


@pytest.fixture
def checkpoint(tmp_path):
    model = small_gan()
    fit(model, tmp_path, epochs=1).save_checkpoint(tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def test_a_latent_depends_on_its_own_seed_alone():
    assert torch.equal(draw_latents([3, 7], 5)[1], draw_latents([7], 5)[0])
    assert not torch.equal(draw_latents([3], 5), draw_latents([7], 5))


def test_an_image_does_not_depend_on_its_batch(checkpoint):
    generator = TrainedGenerator.load(checkpoint).generator
    together = sample(generator, range(10), 1, batch_size=10)
    apart = sample(generator, range(10), 1, batch_size=3)
    assert together.shape == (10, 32, 32, 1)
    assert together.dtype == np.uint8
    assert np.abs(together.astype(int) - apart).max() <= 1  # the order of sums may differ by a rounding


def test_sampling_leaves_the_training_mode_as_it_was():
    generator = Generator(8, 4, 3, 32).train()
    statistics = generator.blocks[0][1].running_mean.clone()
    sample(generator, [1], 3)
    assert generator.training
    assert torch.equal(statistics, generator.blocks[0][1].running_mean)


def test_samples_that_are_not_finite_are_named_with_the_remedy():
    generator = Generator(8, 4, 1, 32)
    generator.to_image.weight.data.fill_(torch.nan)
    with pytest.raises(NonFiniteError, match=r"^Generator\.sample returned values that are not finite; try a smaller"):
        sample(generator, range(2), 1)


def test_grey_samples_are_the_mean_of_the_channels():
    generator = Generator(8, 4, 3, 32)
    colour, grey = sample(generator, range(4), 3), sample(generator, range(4), 1)
    assert np.abs(colour.mean(-1) - grey[..., 0]).max() <= 1


def test_a_checkpoint_holds_where_it_comes_from(checkpoint):
    trained = TrainedGenerator.load(checkpoint)
    assert (trained.label, trained.classes) == ("cat", ("cat",))
    assert (trained.split_hash, trained.stored_channels) == ("abc", 1)
    assert len(trained.checkpoint_hash) == 16


def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path, checkpoint):
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(ConfigError, match=r"text\.ckpt: is not a checkpoint of train=dcgan"):
        TrainedGenerator.load(tmp_path / "text.ckpt")
    (tmp_path / "cut.ckpt").write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(ConfigError, match=r"cut\.ckpt: is not a checkpoint of train=dcgan"):
        TrainedGenerator.load(tmp_path / "cut.ckpt")
    with pytest.raises(ConfigError, match=r"none\.ckpt: can't be read: No such file"):
        TrainedGenerator.load(tmp_path / "none.ckpt")


def test_loading_a_checkpoint_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    torch.save({"hyper_parameters": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(ConfigError, match="is not a checkpoint"):
        TrainedGenerator.load(tmp_path / "evil.ckpt")
    assert not (tmp_path / "ran").exists()
