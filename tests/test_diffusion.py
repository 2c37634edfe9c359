"""The diffusion model: its arguments, its loss, its samples, and the jobs that use it."""

import subprocess
import sys
from types import SimpleNamespace

import lightning
import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.gan.diffusion import Diffusion
from fer_experiments.gan.trained import TrainedGenerator
from fer_experiments.report.study_record import StudyRecord

pytest.importorskip("diffusers")
pytestmark = pytest.mark.usefixtures("blank_figures")
SMALL = {"width": 8, "layers": 1, "learning_rate": 1e-3, "max_gradient_norm": 1.0, "ema": 500, "label_dropout": 0.1}
ARGUMENTS = {**SMALL, "guidance": 1.0, "sampling_steps": 2, "random_flip": False}
TINY = [
    "gan.image_size=16",
    "gan.images_seen=64",
    "gan.batch_size=16",
    "gan.module.width=8",
    "gan.module.sampling_steps=2",
]


def small(num_classes: int | None = 2, channels: int = 1, image_size: int = 16, **changes) -> Diffusion:
    torch.manual_seed(0)
    return Diffusion(num_classes, channels, image_size, **(ARGUMENTS | changes)).eval()


@pytest.mark.parametrize(("size", "levels"), [(16, 2), (32, 3), (64, 4), (128, 5)])
def test_the_network_is_deepest_at_eight_pixels(size, levels):
    with torch.device("meta"):
        model = small(image_size=size)
    assert len(model.network.down_blocks) == levels
    assert "Attn" in type(model.network.down_blocks[-1]).__name__


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 48}, "image_size=48: must be 16, 32, 64 or 128"),
        ({"image_size": 8}, "image_size=8: must be"),
        ({"width": 12}, "width=12: must be a multiple of 8"),
        ({"sampling_steps": 0}, "sampling_steps=0: must be 1 to 1000"),
        ({"label_dropout": 1.0}, r"label_dropout=1\.0: must be"),
        ({"label_dropout": 0.0, "guidance": 2.0}, r"guidance=2\.0: needs label_dropout above 0"),
    ],
)
def test_arguments_out_of_their_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        small(**arguments)


def test_no_fused_optimizer_unscales_gradients_after_they_are_clipped():
    model = small()
    for precision, is_fused in (("16-mixed", False), ("bf16-mixed", True)):
        model._trainer = SimpleNamespace(precision=precision)
        assert model.configure_optimizers().defaults["fused"] is is_fused


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_in_every_precision(precision, tmp_path):
    model = small(max_gradient_norm=0.01)
    norms = []

    class NoteNorm(lightning.Callback):
        def on_before_zero_grad(self, trainer, pl_module, optimizer):
            gradients = [weight.grad for weight in pl_module.network.parameters() if weight.grad is not None]
            if gradients:
                norms.append(torch.cat([each.flatten() for each in gradients]).norm().item())

    images = DataLoader(TensorDataset(torch.rand(8, 1, 16, 16), torch.arange(8) % 2), batch_size=4)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        precision=precision,
        logger=False,
        callbacks=[NoteNorm()],
        default_root_dir=tmp_path,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, images)
    assert norms == pytest.approx([0.01] * len(norms), rel=1e-2)
    assert norms


def test_a_network_that_predicts_the_noise_has_no_loss(monkeypatch):
    model = small()
    clean, labels = torch.rand(4, 1, 16, 16), torch.tensor([0, 1, 0, 1])
    torch.manual_seed(1)
    noise = torch.randn_like(clean)

    def predict(noisy, times, classes):
        scale = model.noise_schedule.alphas_cumprod[times].view(-1, 1, 1, 1)
        expected = scale.sqrt() * (clean * 2 - 1) + (1 - scale).sqrt() * noise
        assert torch.allclose(noisy, expected, atol=1e-5)
        return type("Output", (), {"sample": noise})

    monkeypatch.setattr(model.network, "forward", predict)
    torch.manual_seed(1)
    assert model.training_step((clean, labels), 0) == 0


@pytest.mark.parametrize(("dropout", "expected"), [(0.0, {0, 1}), (0.9999, {2})])
def test_labels_are_left_out_with_the_given_probability(monkeypatch, dropout, expected):
    model = small(label_dropout=dropout)
    classes = []
    network = model.network.forward
    monkeypatch.setattr(
        model.network,
        "forward",
        lambda noisy, times, labels: classes.extend(labels.tolist()) or network(noisy, times, labels),
    )
    model.training_step((torch.rand(16, 1, 16, 16), torch.arange(16) % 2), 0)
    assert set(classes) == expected


def test_an_image_depends_on_its_own_seed_and_label_alone():
    model = small(guidance=1.5)
    labels = torch.tensor([0, 1, 1])
    with torch.inference_mode():
        images = model.sample(labels, [3, 3, 4])
        single = model.sample(labels[1:2], [3])
    assert images.shape == (3, 1, 16, 16)
    assert 0 <= images.min() <= images.max() <= 1
    assert torch.allclose(images[1:2], single, atol=1e-5)
    assert not torch.allclose(images[1], images[2])


def test_guidance_goes_beyond_the_prediction_with_the_label():
    images, time, labels = torch.randn(2, 1, 16, 16), torch.tensor(500), torch.tensor([0, 1])
    with torch.inference_mode():
        with_label, without = (small(guidance=guidance)._predict_noise(images, time, labels) for guidance in (1.0, 0.0))
        guided = small(guidance=3.0)._predict_noise(images, time, labels)
        assert torch.allclose(without, small().average(images, time, torch.tensor([2, 2])).sample, atol=1e-5)
    assert torch.allclose(guided, without + 3 * (with_label - without), atol=1e-4)
    assert not torch.allclose(with_label, without, atol=1e-3)


def test_without_classes_there_are_no_labels():
    model = small(None, channels=3)
    with torch.inference_mode():
        assert model.sample(None, [0]).shape == (1, 3, 16, 16)
        assert model.training_step((torch.rand(2, 3, 16, 16), torch.tensor([7, 9])), 0) > 0


def test_the_average_makes_the_images_and_follows_the_weights(run, tmp_path):
    folder = run("train=diffusion", *TINY, folder=tmp_path / "run")
    weights = torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
    name = "conv_in.weight"
    assert not torch.equal(weights[f"network.{name}"], weights[f"average.{name}"])
    result = Result.load(folder)
    assert result.history[-1]["gan/loss"] > 0
    generator = TrainedGenerator.load(folder / "checkpoints/last.ckpt")
    assert isinstance(generator.generator, Diffusion)
    assert generator.classes == ("angry", "happy")
    file = next((folder / "synthetic").glob("*/*.png"))
    manifest = pd.read_csv(folder / "synthetic" / "manifest.csv")
    assert manifest["file"][0] == f"{file.parent.name}/{sorted(path.name for path in file.parent.iterdir())[0]}"
    assert generator.sample([0, 1], "happy").dtype == np.uint8


def test_it_continues_to_the_same_images(run, tmp_path):
    keys = ["train=diffusion", *TINY, "gan.checkpoint_every=1"]
    whole = run(*keys, folder=tmp_path / "whole")
    first = run(*keys, "trainer.max_epochs=1", folder=tmp_path / "first")
    second = run(*keys, f"ckpt_path={first / 'checkpoints/last.ckpt'}", folder=tmp_path / "second")
    weights = [
        torch.load(place / "checkpoints/last.ckpt", weights_only=True)["state_dict"] for place in (whole, second)
    ]
    assert all(torch.equal(weights[0][name], value) for name, value in weights[1].items())


def test_it_is_an_arm_beside_the_gan(run, tmp_path):
    tiny = ", ".join(TINY)
    arms = f'train.arms=[none,dcgan,"diffusion [{tiny}]","diffusion [balance.inject=symmetric, balance.add=4, {tiny}]"]'
    folder = run("train=study", "train.seeds=1", "classifier.epochs=1", arms, folder=tmp_path / "study")
    record = StudyRecord.load(folder)
    assert not record.failed
    assert len(record.results) == 4
    assert len([*(folder / "seed_0").glob("gan-*")]) == 1, "both arms share it"
    shared = [result for result in record.results if result.arm.startswith("diffusion")]
    assert [sum(result.generated.values()) for result in shared] == [8, 8]
    assert "diffusion" in (folder / "report.html").read_text()


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ConfigError, match=r"needs diffusers; run pip install 'fer-experiments\[diffusion\]'"):
        small()


def test_nothing_but_a_diffusion_model_imports_the_library():
    code = "import sys, fer_experiments.train.gan.fit; assert 'diffusers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
