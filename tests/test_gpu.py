"""A few steps of every module that is trained: on the CPU, and on a GPU by python -m pytest -m gpu."""

from typing import Any

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from fer_experiments.augment import Traditional
from fer_experiments.balance.objective import Objective
from fer_experiments.classifier.module import Classifier
from fer_experiments.classifier.networks import CNN
from fer_experiments.gan.module import DCGAN
from fer_experiments.joint.module import ExternalClassifier, JointClassifier, TwoHeadedClassifier
from fer_experiments.joint.networks import Trunk
from tests.conftest import classifier_config, gan_config, joint_config

pytestmark = pytest.mark.filterwarnings("ignore:.*but have no `val_dataloader`.*")
BATCHES = 8
EPOCHS = 2


def small_gan_config(**keys: Any) -> Any:
    return gan_config(**({"latent_dim": 8, "width": 4, "image_size": 32} | keys))


def build_classifier(**keys: Any) -> Classifier:
    torch.manual_seed(0)
    network = CNN(2, image_size=22, dropout=0.0)
    config = classifier_config(**keys)
    return Classifier(network, config, classes=["a", "b"], objective=Objective(), provenance={})


def build_dcgan() -> DCGAN:
    torch.manual_seed(0)
    return DCGAN(small_gan_config(loss="non_saturating"), channels=3, provenance={})


def build_recipe() -> DCGAN:
    """Build a conditional GAN with every part that draws, averages or differentiates twice."""
    torch.manual_seed(0)
    gan = small_gan_config(
        conditional=True,
        discriminator_outputs=1,
        loss="hinge",
        regularizer="r1",
        r1_gamma=0.1,
        ema=100,
        random_flip=True,
        diffaugment="color,translation,cutout",
    )
    return DCGAN(gan, channels=3, provenance={}, classes=["a", "b"])


def build_joint(head: str) -> JointClassifier:
    torch.manual_seed(0)
    network, module_class = (
        (CNN(2, image_size=32), ExternalClassifier) if head == "external" else (Trunk(2, 3, 32, 4), TwoHeadedClassifier)
    )
    return module_class(
        network,
        classifier_config(learning_rate=5e-4),
        gan=small_gan_config(discriminator_outputs=1, ema=100, diffaugment="color"),
        joint=joint_config(head=head, threshold=0.0),
        augment=Traditional(flip=0.5, degrees=10.0, translate=0.1, scale=0.1).transform_float,
        class_probabilities=[0.5, 0.5],
        in_class_loss=8,
        classes=["a", "b"],
        objective=Objective(),
        provenance={"image_size": 32, "channels": 3},
    )


def build_two_headed() -> JointClassifier:
    return build_joint("adc")


def build_external() -> JointClassifier:
    return build_joint("external")


BUILDERS = [build_classifier, build_dcgan, build_recipe, build_two_headed, build_external]


def fit(model, accelerator, precision="32-true", callbacks=(), checkpoint=None, epochs=EPOCHS):
    torch.manual_seed(1)
    size = 22 if type(model) is Classifier else 32
    batches = [(torch.rand(16, 3, size, size), torch.arange(16) % 2) for _ in range(BATCHES)]
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=1,
        max_epochs=epochs,
        precision=precision,
        limit_val_batches=0,
        logger=False,
        callbacks=list(callbacks),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    torch.manual_seed(2)
    trainer.fit(model, DataLoader(batches, batch_size=None), ckpt_path=checkpoint)
    return trainer


@pytest.mark.parametrize("accelerator", ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("build", BUILDERS)
def test_every_weight_learns_and_stays_finite(build, precision, accelerator):
    model = build()
    before = {name: value.clone() for name, value in model.named_parameters()}
    trainer = fit(model, accelerator, precision)
    for name, value in model.named_parameters():
        assert value.isfinite().all(), name
        assert not torch.equal(value.cpu(), before[name]), name
    steps = trainer.global_step // len(trainer.optimizers)
    assert steps == EPOCHS * BATCHES
    if isinstance(model, JointClassifier):
        assert sum(model.generated_by_class().values()) == steps * (16 if build is build_two_headed else 8)


class WaitingForbidden(lightning.Callback):
    """Make torch raise an error if a training step, but not the last of an epoch, waits for the GPU."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        torch.cuda.set_sync_debug_mode("default" if trainer.is_last_batch else "error")

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        torch.cuda.set_sync_debug_mode("default")

    def on_exception(self, trainer, pl_module, exception):
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.parametrize("build", BUILDERS)
def test_no_step_waits_for_the_gpu(build):
    assert fit(build(), "gpu", callbacks=[WaitingForbidden()]).global_step > 0


@pytest.mark.gpu
@pytest.mark.parametrize("build", BUILDERS)
def test_a_training_of_a_gpu_is_resumed_on_the_cpu(build, tmp_path):
    trainer = fit(build(), "gpu")
    trainer.save_checkpoint(tmp_path / "gpu.ckpt")
    resumed = fit(build(), "cpu", checkpoint=tmp_path / "gpu.ckpt", epochs=EPOCHS + 1)
    assert resumed.global_step == trainer.global_step * (EPOCHS + 1) // EPOCHS
