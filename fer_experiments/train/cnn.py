"""train=cnn, train=joint: train the classifier under one balancing strategy and one augmentation."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning
import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from fer_experiments.augment import Augment
from fer_experiments.balance import Generate, Joint, Plan, Strategy
from fer_experiments.classifier.averaging import WeightAverage
from fer_experiments.classifier.module import MONITOR, Classifier
from fer_experiments.data.leak import leak_to_selection
from fer_experiments.data.module import INTERPOLATED, ImageData, ImageDataModule, Images
from fer_experiments.data.synthetic import GeneratedImages, read_synthetic
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.arms import ArmName
from fer_experiments.evaluation.metrics import classification_metrics
from fer_experiments.evaluation.predictions import FILE as PREDICTIONS
from fer_experiments.evaluation.predictions import Predictions, save_predictions
from fer_experiments.evaluation.result import Result
from fer_experiments.gan.pictures import SampleGrid
from fer_experiments.joint import JointConfig
from fer_experiments.joint.module import JointClassifier
from fer_experiments.report.tensorboard import write_hyperparameters, write_test_results
from fer_experiments.train.audit import audit_arms
from fer_experiments.train.build import build_classifier
from fer_experiments.train.dcgan import images_needed, train_gan
from fer_experiments.train.draw import Rejection
from fer_experiments.train.job import Job
from fer_experiments.train.joint import build_joint, check_joint, joint_images, leave_gan
from fer_experiments.train.ranks import on_first
from fer_experiments.train.record import device_name, write_data
from fer_experiments.train.resume import Resume, fingerprint, finished
from fer_experiments.train.search import valid_balanced_accuracy
from fer_experiments.whole import whole

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

log = logging.getLogger(__name__)
GAN = "gan"  # folder of the GAN of a lone training, or of an arm with one of its own


@dataclass(frozen=True)
class Arm:
    """A named combination of a balancing strategy and an augmentation.

    joint: of a strategy that trains a GAN along, else None; leak: with test images where none must be.
    """

    name: str
    balance: Strategy
    augment: Augment
    joint: JointConfig | None = None
    leak: bool = False

    @property
    def folder(self) -> str:
        return ArmName.parse(self.name).folder


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


def images_for_all(config: Config, data: ImageData, arms: Iterable[Arm]) -> dict[str, int]:
    """{class: generated images} that serve every one of the arms."""
    needed: Counter[str] = Counter()
    for arm in arms:
        needed |= Counter(images_needed(arm.balance, data, config.seed))  # | is the larger of both
    return dict(needed)


def find_synthetic(
    config: Config, data: ImageData, arms: Iterable[Arm], folder: Path, leak: bool = False
) -> dict[str, Path]:
    """{class: folder of its generated images} for what the arms need and don't bring.

    Trains a GAN for each class, or a conditional one for all. The arms are all clean, or with `leak` all leaking.
    """
    needy = [arm for arm in arms if arm.balance.needs_images]
    needed, reject = images_for_all(config, data, needy), Rejection.of(arm.balance for arm in needy)
    named = config.gan.target_class
    if needed and named is not None and set(needed) != {named}:
        raise ConfigError(
            f"gan.target_class={named}: balance needs generated images of {', '.join(sorted(needed))}; a GAN is "
            "trained for each of these. Use gan.target_class=null, or balance.sampling_strategy={CLASS: TOTAL}"
        )
    if config.gan.conditional:
        return dict.fromkeys(needed, train_gan(config, data, needed, folder, leak, reject)) if needed else {}
    several = len(needed) > 1
    return {
        label: train_gan(config, data, {label: count}, folder / label if several else folder, leak, reject)
        for label, count in sorted(needed.items())
    }


def load_generated(
    config: Config, data: ImageData, arm: Arm, plan: Plan, synthetic: dict[str, Path]
) -> GeneratedImages | None:
    """The generated images that a plan asks for, from the arm's own folder or from the GANs trained here."""
    if not plan.generated:
        return None
    assert isinstance(arm.balance, Generate)
    own, reject = arm.balance.synthetic, arm.balance.reject
    channels, split_hash = config.data.stored_channels, data.split.hash
    if own is not None:
        return read_synthetic(own, plan.generated, split_hash, channels, reject)
    return GeneratedImages.join(
        [
            read_synthetic(synthetic[label], {label: count}, split_hash, channels, reject)
            for label, count in plan.generated.items()
        ]
    )


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


def build_images(config: Config, data: ImageData, arm: Arm, plan: Plan, synthetic: dict[str, Path]) -> ImageDataModule:
    """The planned training images, generated ones injected, in as many steps an epoch for every arm."""
    if arm.joint is not None:
        return joint_images(config, data, plan, arm.joint)
    settings = config.classifier
    images = ImageDataModule(
        data,
        image_size=settings.image_size,
        batch_size=settings.batch_size,
        seed=config.seed,
        train_indices=plan.indices,
        steps_per_epoch=-(-len(data.split.rows("train")) // settings.batch_size),
        augment=arm.augment,
    )
    generated = load_generated(config, data, arm, plan, synthetic)
    if generated is not None:
        images.inject(generated, injection=plan.injection)
    if plan.interpolated:
        images.inject(interpolate(config, data, arm), INTERPOLATED)
    return images


def interpolate(config: Config, data: ImageData, arm: Arm) -> GeneratedImages:
    """What the arm's strategy makes of the training images, at the size at which a GAN's would come in."""
    rows, labels = data.split.rows("train"), data.split.labels("train")
    side = config.data.bottleneck or data.cache.images.shape[1]
    real = Images(data.cache.images, rows, data.class_indices(labels), side)
    pixels = real[list(range(len(real)))][0].permute(0, 2, 3, 1).numpy()
    images, names = arm.balance.interpolate(pixels, labels, config.seed)
    return GeneratedImages(images, names, np.array([f"{arm.name}/{place}" for place in range(len(names))]))


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


def used(labels: np.ndarray, plan: Plan) -> dict[str, int]:
    """{class: real training images that the plan has at least once}."""
    return dict(sorted(Counter(labels[np.unique(plan.indices)].tolist()).items()))


def repeated(labels: np.ndarray, plan: Plan) -> dict[str, int]:
    """{class: how many training places are repeats of a real image}, classes without repeats left out."""
    extra = Counter(labels[plan.indices].tolist())
    extra.subtract(used(labels, plan))
    return {name: number for name, number in sorted(extra.items()) if number > 0}


def describe_counts(labels: np.ndarray, plan: Plan) -> str:
    """ "820 angry + 80 generated, 900 happy"."""
    added = {"generated": plan.generated, "repeated": repeated(labels, plan), "interpolated": plan.interpolated}
    parts = []
    for name, number in used(labels, plan).items():
        made = [f" + {counts[name]} {what}" for what, counts in added.items() if counts.get(name)]
        parts.append(f"{number} {name}{''.join(made)}")
    return ", ".join(parts)


def describe(result: Result) -> str:
    test = result.metrics["test"]
    return (
        f"{result.arm}: test accuracy {test['accuracy']:.1%}, balanced accuracy {test['balanced_accuracy']:.1%}, "
        f"loss {test['loss']:.4f} on {test['images']} images (epoch {result.selected_epoch}, {result.seconds:.0f} s)"
    )
