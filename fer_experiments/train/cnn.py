"""train=cnn, train=joint: train the classifier under one balancing strategy and one augmentation."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import torch
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from fer_experiments.balance import Joint
from fer_experiments.classifier.averaging import WeightAverage
from fer_experiments.classifier.module import MONITOR, Classifier
from fer_experiments.data.leak import leak_to_selection
from fer_experiments.data.module import ImageData, ImageDataModule
from fer_experiments.evaluation.arms import ArmName
from fer_experiments.evaluation.metrics import classification_metrics
from fer_experiments.evaluation.predictions import FILE as PREDICTIONS
from fer_experiments.evaluation.predictions import Predictions, save_predictions
from fer_experiments.evaluation.result import Result
from fer_experiments.gan.pictures import SampleGrid
from fer_experiments.joint.module import JointClassifier
from fer_experiments.report.tensorboard import write_hyperparameters, write_test_results
from fer_experiments.train.arm import Arm
from fer_experiments.train.audit import audit_arms
from fer_experiments.train.build import build_classifier
from fer_experiments.train.job import Job
from fer_experiments.train.joint import build_joint, check_joint, leave_gan
from fer_experiments.train.ranks import on_first
from fer_experiments.train.record import device_name, write_data
from fer_experiments.train.resume import Resume, fingerprint, finished
from fer_experiments.train.search import valid_balanced_accuracy
from fer_experiments.train.training_images import (
    build_images,
    describe_counts,
    find_synthetic,
    images_for_all,
    repeated,
    used,
)
from fer_experiments.whole import whole

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

log = logging.getLogger(__name__)
GAN = "gan"  # folder of the GAN of a lone training, or of an arm with one of its own


class TrainCNN(Job):
    def check(self, config: Config) -> None:
        check_joint(config, _own_arm(config))

    def run(self, config: Config, folder: Path) -> None:
        data = ImageData.prepare(config.data, config.seed)
        arm = _own_arm(config)
        write_data(folder, data, images_for_all(config, data, [arm]))
        synthetic = find_synthetic(config, data, [arm], folder / GAN)
        audit_arms(config, data, {folder: arm}, synthetic)
        result = train_classifier(config, data, arm, synthetic, folder)
        log.info("%s", describe(result))

    def check_search(self, config: Config) -> None:
        """Every classifier is measured on validation."""

    def objective(self, folder: Path) -> float:
        return valid_balanced_accuracy([Result.load(folder)])


def _own_arm(config: Config) -> Arm:
    """The arm that the run's own balance and augment are."""
    chosen = HydraConfig.get().runtime.choices
    joint = config.joint if isinstance(config.balance, Joint) else None
    return Arm(str(ArmName(chosen["balance"], chosen["augment"])), config.balance, config.augment, joint)


def train_classifier(config: Config, data: ImageData, arm: Arm, synthetic: dict[str, Path], folder: Path) -> Result:
    """Train, choose the epoch on validation, measure on test; predictions.npz and result.json are left in `folder`.

    For a leaking arm the test images stand in for validation. Whatever it is trained on stays. What an earlier start of
    this training left in `folder` is gone on from.
    """
    if arm.leak:
        data = leak_to_selection(data)
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    labels = data.split.labels("train")
    plan = arm.balance.plan(labels, config.seed)
    images = build_images(config, data, arm, plan, synthetic)
    training = classifier_fingerprint(config, data, arm, images)
    there = finished(folder, training)
    if there is not None and (folder / PREDICTIONS).is_file():
        log.info("%s is trained already", arm.name)
        return there
    resume = Resume(folder, config.classifier.checkpoint_every, training)
    folder.mkdir(parents=True, exist_ok=True)
    on_first(_write_training_table)(images, folder)
    joint = arm.joint
    model = build_classifier(config, data, plan) if joint is None else build_joint(config, data, arm, plan, joint)
    callbacks = [*_callbacks(config, arm, folder), resume]
    trainer = config.trainer.build(arm.name, config.classifier.epochs, folder, callbacks, validate=True)
    log.info("%s: %s", arm.name, describe_counts(labels, plan))
    resume.fit(trainer, model, images)
    steps = trainer.global_step // len(trainer.optimizers)
    generated = model.seen() if isinstance(model, JointClassifier) else plan.generated
    chosen = folder / "checkpoints" / f"{config.classifier.select}.ckpt"
    outputs = _predict(trainer, model, images, chosen)
    result = Result(
        job="cnn",
        arm=arm.name,
        seed=config.seed,
        classes=list(data.classes),
        real=used(labels, plan),
        generated=generated,
        repeated=repeated(labels, plan),
        interpolated=plan.interpolated,
        optimizer_steps=steps,
        # Both checkpoints are written within their epoch, which counts from 0.
        selected_epoch=int(torch.load(chosen, weights_only=True, map_location="cpu")["epoch"]) + 1,
        metrics={part: classification_metrics(*output, data.classes) for part, output in outputs.items()},
        history=model.history,
        split_hash=data.split.clean_hash,
        protocol="leak" if arm.leak else "clean",
        training=training,
        seconds=resume.seconds,
        device=device_name(trainer),
        precision=config.trainer.arithmetic(trainer.strategy.root_device),
    )
    _show(config, arm, result, trainer.logger, *outputs["test"])
    on_first(save_predictions)(folder, predictions_of(data, outputs))
    if isinstance(model, JointClassifier):
        leave_gan(config, data, model, result, folder / GAN)
    on_first(result.save)(folder)
    return result


def _callbacks(config: Config, arm: Arm, folder: Path) -> list[lightning.Callback]:
    """Those that average the weights, draw the pictures of an arm's own GAN, and keep the best epoch."""
    best = ModelCheckpoint(
        folder / "checkpoints",
        filename="best",
        monitor=MONITOR,
        mode="max",
        save_weights_only=True,
        enable_version_counter=False,
    )
    found: list[lightning.Callback] = [best]
    if arm.joint is not None:
        samples = folder / GAN / "samples"
        found.insert(0, SampleGrid(samples, config.gan.picture_epochs, config.data.stored_channels))
    if config.classifier.ema is not None:
        found.insert(0, WeightAverage(config.classifier.ema))
    return found


def _predict(
    trainer: lightning.Trainer, model: Classifier, images: ImageDataModule, checkpoint: Path
) -> dict[str, tuple[Tensor, Tensor]]:
    """{part: logits (N, K) and labels (N,)} of validation and test, by the weights of a checkpoint."""
    predictions = trainer.predict(model, datamodule=images, ckpt_path=checkpoint, weights_only=True)
    assert predictions is not None
    return {part: _join(batches) for part, batches in zip(("valid", "test"), predictions, strict=True)}


def _show(config: Config, arm: Arm, result: Result, logger: Any, logits: Tensor, labels: Tensor) -> None:
    """In TensorBoard: the results on test, and the training's line in the table of settings."""
    write_test_results(logger, result, logits, labels)
    shown = {f"test_{name}": result.metrics["test"][name] for name in ("accuracy", "balanced_accuracy", "loss")}
    groups = {"gan": config.gan, "classifier": config.classifier, "joint": arm.joint or config.joint}
    write_hyperparameters(logger, result, groups, shown)


def _write_training_table(images: ImageDataModule, folder: Path) -> None:
    with whole(folder / "training.csv") as temporary:
        images.training_table().to_csv(temporary, index=False, errors="surrogateescape")


def classifier_fingerprint(config: Config, data: ImageData, arm: Arm, images: ImageDataModule) -> str:
    """Of an arm's training on `images`."""
    made = images.train_set.generated
    return fingerprint(
        config,
        data,
        arm=[arm.name, repr(arm.balance), repr(arm.augment)],
        classifier=config.classifier.model_dump(),
        generated=None if made is None else hashlib.sha256(made.tobytes()).hexdigest(),
        **({} if arm.joint is None else {"joint": arm.joint.model_dump(), "gan": config.gan.model_dump()}),
    )


def _join(batches: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    logits, labels = zip(*batches, strict=True)
    return torch.cat(logits).float(), torch.cat(labels)


def predictions_of(data: ImageData, outputs: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Predictions]:
    """{part: logits and labels in split.csv's order} with the images' content hashes."""
    found = {}
    for part, (logits, labels) in outputs.items():
        hashes = data.split.table.loc[data.split.table["split"] == part, "content_hash"].to_numpy(dtype=str)
        found[part] = Predictions(logits.numpy(), labels.numpy(), hashes, data.classes)
    return found


def describe(result: Result) -> str:
    test = result.metrics["test"]
    return (
        f"{result.arm}: test accuracy {test['accuracy']:.1%}, balanced accuracy {test['balanced_accuracy']:.1%}, "
        f"loss {test['loss']:.4f} on {test['images']} images (epoch {result.selected_epoch}, {result.seconds:.0f} s)"
    )
