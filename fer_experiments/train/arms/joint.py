"""A classifier that is trained together with a GAN: what it sees, what it is, and what it leaves of the GAN."""

from pathlib import Path
from typing import Any

from fer_experiments.audit.audit_generated import audit_generated
from fer_experiments.balance import TrainingPlan
from fer_experiments.classifier.build import build_provenance
from fer_experiments.classifier.networks import build_network
from fer_experiments.data.datamodule import ImageDataModule
from fer_experiments.data.prepared import PreparedData
from fer_experiments.distributed import on_rank_zero
from fer_experiments.evaluation.result import Result, Trained
from fer_experiments.gan import GANConfig
from fer_experiments.gan.health import Advice
from fer_experiments.gan.trained import TrainedGenerator
from fer_experiments.joint import JointConfig
from fer_experiments.joint.module import ExternalClassifier, JointClassifier, TwoHeadedClassifier
from fer_experiments.joint.networks import Trunk
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.arms.check_joint import classifier_image_size
from fer_experiments.train.gan.generated_images import SYNTHETIC_FOLDER
from fer_experiments.train.gan.health import write_health
from fer_experiments.train.gan.rejection_sampling import draw_images
from fer_experiments.train.settings import Settings
from fer_experiments.trainer.callbacks.checkpoints import LAST_CHECKPOINT, read_epoch

JOINT_ADVICE = Advice(
    longer="Set more classifier.epochs",
    shorter="fewer classifier.epochs",
    slower="a smaller joint.learning_rate or, with joint.head=external, gan.discriminator_learning_rate",
)
TRUNK_TARGET = f"{Trunk.__module__}.{Trunk.__qualname__}"
IMAGES_PER_CLASS = 64  # that are written and audited


def joint_datamodule(settings: Settings, data: PreparedData, plan: TrainingPlan, joint: JointConfig) -> ImageDataModule:
    """Return the real images, in as many steps an epoch as every arm has; the module augments them itself."""
    batch_size = settings.classifier.batch_size
    return ImageDataModule(
        data,
        image_size=classifier_image_size(settings, joint),
        batch_size=batch_size - joint.generated_in_batch(batch_size),
        seed=settings.seed,
        train_indices=plan.indices,
        steps_per_epoch=data.steps_per_epoch(batch_size),
    )


def build_joint(
    settings: Settings, data: PreparedData, arm: Arm, plan: TrainingPlan, joint: JointConfig
) -> JointClassifier:
    """Build the untrained classifier and its GAN.

    A trunk is trained as conf/gan trains a discriminator, another network as conf/classifier says.

    Args:
        settings: the configuration.
        data: the images and their split.
        arm: the arm, whose augmentation real and generated images get.
        plan: the plan of the arm's strategy, whose objective is minimized.
        joint: how both are trained together.
    """
    config, gan = settings.classifier, _gan_of(settings)
    size = classifier_image_size(settings, joint)
    node = config.network if joint.is_external else _trunk_node(settings, joint)
    network = build_network(node, len(data.classes), data.source.channels, size)
    arguments: dict[str, Any] = {
        "gan": gan,
        "joint": joint,
        "augment": arm.augment.transform_float,
        "class_probabilities": joint.class_probabilities(data.split.labels("train"), data.classes),
        "in_class_loss": joint.generated_in_batch(config.batch_size),
        "classes": list(data.classes),
        "objective": plan.objective,
        "provenance": build_provenance(data, node, size, settings.seed),
    }
    if joint.is_external:
        return ExternalClassifier(network, config, **arguments)
    assert isinstance(network, Trunk)
    trunk_config = config.model_copy(
        update={
            "optimizer": {"_target_": "torch.optim.Adam", "betas": gan.betas, "fused": True},
            "learning_rate": joint.learning_rate,
            "label_smoothing": 0.0,
            "mixup": None,
        }
    )
    return TwoHeadedClassifier(network, trunk_config, **arguments)


def _gan_of(settings: Settings) -> GANConfig:
    assert isinstance(settings.gan, GANConfig), "check_joint refuses others"
    return settings.gan


def _trunk_node(settings: Settings, joint: JointConfig) -> dict[str, Any]:
    """Return the trunk as classifier.network would name it."""
    return {
        "_target_": TRUNK_TARGET,
        "width": _gan_of(settings).width,
        "normalisation": _gan_of(settings).normalisation,
        "contrast": joint.head == "adc",
    }


def write_joint_gan(
    settings: Settings, data: PreparedData, model: JointClassifier, result: Result, folder: Path
) -> None:
    """Write what train=dcgan leaves of a GAN: health, images of each class, their audits, result.json.

    Args:
        settings: the configuration.
        data: the images and their split.
        model: the trained classifier and its GAN.
        result: the classifier's.
        folder: the GAN's, inside that of the classifier, in which the checkpoint is.
    """
    generator = TrainedGenerator.load(folder.parent / LAST_CHECKPOINT, device=settings.trainer.first_device)
    history = _gan_history(model.history, result.optimizer_steps)
    write_health(settings.gan, data, generator, history, result.optimizer_steps, folder, JOINT_ADVICE)
    written = _write_images(generator, folder)
    for label, count in written.items():
        audit_generated(settings.audit_settings, data, label, count, folder / SYNTHETIC_FOLDER, folder / label)
    changes = {
        "job": Trained.GAN,
        "arm": "gan",
        "generated": written,
        "repeated": {},
        "metrics": {},
        "history": history,
        "selected_epoch": read_epoch(folder.parent / LAST_CHECKPOINT),
    }
    on_rank_zero(result.model_copy(update=changes).save)(folder)


def _gan_history(history: list[dict[str, float]], steps: int) -> list[dict[str, float]]:
    """Return the rows of the classifier's history with the GAN's values alone, and their steps."""
    steps_per_row = steps // len(history)
    return [
        {"step": row["epoch"] * steps_per_row, "epoch": row["epoch"]}
        | {name: value for name, value in row.items() if name.startswith("gan/")}
        for row in history
    ]


@on_rank_zero
def _write_images(generator: TrainedGenerator, folder: Path) -> dict[str, int]:
    needed = dict.fromkeys(generator.classes, IMAGES_PER_CLASS)
    return draw_images(generator, needed, folder / SYNTHETIC_FOLDER)
