"""The training of a classifier under one arm: trained, its epoch chosen on validation, measured on test."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor

from fer_experiments.atomic_write import atomic_write
from fer_experiments.balance import External, TrainingPlan
from fer_experiments.classifier.build import build_classifier
from fer_experiments.classifier.module import MONITORED_METRIC, Classifier
from fer_experiments.data.datamodule import ImageDataModule
from fer_experiments.data.injection import GENERATED, ORIGIN_TITLES
from fer_experiments.data.leak import leak_to_selection
from fer_experiments.data.prepared import PreparedData
from fer_experiments.distributed import on_rank_zero
from fer_experiments.errors import NonFiniteError
from fer_experiments.evaluation.metrics import classification_metrics
from fer_experiments.evaluation.predictions import PREDICTIONS_FILE, Predictions, save_predictions
from fer_experiments.evaluation.result import Result, Trained
from fer_experiments.evaluation.threshold import cross_fit
from fer_experiments.joint.module import JointClassifier
from fer_experiments.report.gan_files import GAN_FOLDER
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.arms.external_images import check_external_images
from fer_experiments.train.arms.joint import build_joint, write_joint_gan
from fer_experiments.train.arms.training_images import (
    build_datamodule,
    count_repeated,
    count_used,
    describe_counts,
)
from fer_experiments.train.open_trainer import Training, open_trainer
from fer_experiments.train.settings import Settings
from fer_experiments.trainer.callbacks.checkpoints import BestCheckpoint, LastCheckpoint, read_epoch
from fer_experiments.trainer.callbacks.exact_resume import ExactResume
from fer_experiments.trainer.callbacks.sample_grid import SampleGrid
from fer_experiments.trainer.callbacks.weight_average import WeightAverage
from fer_experiments.trainer.device_name import describe_device
from fer_experiments.trainer.fingerprint import load_finished, training_fingerprint
from fer_experiments.trainer.loggers.summary import log_outcome, log_test_results
from fer_experiments.trainer.sigterm import ending_by_sigterm

log = logging.getLogger(__name__)
Outputs = dict[str, tuple[Tensor, Tensor]]
"""{part: logits (N, K) and labels (N,) in the order of split.csv}"""


def train_classifier(
    settings: Settings, data: PreparedData, arm: Arm, synthetic: dict[str, Path], folder: Path
) -> Result:
    """Train the arm's classifier; leave its checkpoints, predictions.npz and result.json in `folder`.

    What an earlier start of this training left there is continued.

    Args:
        settings: the configuration.
        data: the clean data. For a leaking arm the test images stand in for the validation images.
        arm: what the classifier is trained under.
        synthetic: {class: folder of the images of the run's GAN}.
        folder: where the training is written.
    """
    if arm.leak:
        data = leak_to_selection(data)
    lightning.seed_everything(settings.seed, workers=True, verbose=False)
    plan = arm.balance.plan(data.split.labels("train"), settings.seed)
    images = build_datamodule(settings, data, arm, plan, synthetic)
    if isinstance(arm.balance, External) and images.generated is not None:
        check_external_images(settings, data, arm.balance, images.generated, folder)
    fingerprint = classifier_fingerprint(settings, data, arm, images)
    finished = load_finished(folder, fingerprint)
    if finished is not None and (folder / PREDICTIONS_FILE).is_file():
        log.info("%s is trained already", arm.name)
        return finished
    folder.mkdir(parents=True, exist_ok=True)
    on_rank_zero(_write_training_table)(images, folder)
    log.info("%s: %s", arm.name, describe_counts(data.split.labels("train"), plan))
    model = build_model(settings, data, arm, plan)
    resume = ExactResume(folder, fingerprint)
    training = Training(arm.name, arm.name, arm.metrics, settings.classifier.epochs, folder)
    with open_trainer(settings, training, _build_callbacks(settings, arm, folder), resume) as trainer:
        resume.fit(trainer, model, images, settings.ckpt_path)
        steps = trainer.global_step // len(trainer.optimizers)
        counts = _image_counts(data, plan, model)  # of the last epoch; _predict loads the best one
        checkpoint = folder / "checkpoints" / f"{settings.classifier.checkpoint}.ckpt"
        outputs = _predict(trainer, model, images, checkpoint)
        result = Result(
            job=Trained.CLASSIFIER,
            arm=arm.name,
            seed=settings.seed,
            classes=list(data.classes),
            **counts,
            is_control=arm.balance.is_control,
            optimizer_steps=steps,
            selected_epoch=read_epoch(checkpoint),
            metrics={part: classification_metrics(*output, data.classes) for part, output in outputs.items()},
            history=model.history,
            split_hash=data.split.clean_hash,
            protocol="leak" if arm.leak else "clean",
            fingerprint=fingerprint,
            seconds=resume.seconds,
            **describe_device(settings.trainer, trainer),
        )
        _log_outcome(trainer, settings, arm, result, *outputs["test"])
    on_rank_zero(save_predictions)(folder, with_content_hashes(data, outputs))
    if isinstance(model, JointClassifier):
        write_joint_gan(settings, data, model, result, folder / GAN_FOLDER)
    on_rank_zero(result.save)(folder)
    return result


def classifier_fingerprint(settings: Settings, data: PreparedData, arm: Arm, images: ImageDataModule) -> str:
    """Return the fingerprint of an arm's training on `images`."""
    generated = images.train_set.generated
    joint: dict[str, Any] = (
        {} if arm.joint is None else {"joint": arm.joint.model_dump(), "gan": settings.gan.model_dump()}
    )
    return training_fingerprint(
        settings.trainer,
        data,
        settings.seed,
        callbacks=settings.callbacks,
        ckpt_path=settings.ckpt_path,
        arm=[arm.name, repr(arm.balance), repr(arm.augment)],
        classifier=settings.classifier.fingerprint_values(),
        generated=None if generated is None else hashlib.sha256(generated.tobytes()).hexdigest(),
        **joint,
    )


def build_model(settings: Settings, data: PreparedData, arm: Arm, plan: TrainingPlan) -> Classifier:
    """Build the untrained classifier of an arm, with its GAN if both are trained together."""
    if arm.joint is None:
        return build_classifier(settings.classifier, data, plan, settings.seed)
    return build_joint(settings, data, arm, plan, arm.joint)


def _build_callbacks(settings: Settings, arm: Arm, folder: Path) -> list[lightning.Callback]:
    """Return the callbacks that average the weights, draw the samples of the arm's own GAN, and write checkpoints."""
    callbacks: list[lightning.Callback] = []
    if settings.classifier.ema is not None:
        callbacks.append(WeightAverage(settings.classifier.ema))
    if arm.joint is not None:
        samples = folder / GAN_FOLDER / "samples"
        callbacks.append(SampleGrid(samples, settings.gan.picture_epochs, settings.data.stored_channels))
    callbacks.append(BestCheckpoint(folder, MONITORED_METRIC, "max"))
    callbacks.append(LastCheckpoint(folder, settings.classifier.checkpoint_every))
    return callbacks


def _predict(trainer: lightning.Trainer, model: Classifier, images: ImageDataModule, checkpoint: Path) -> Outputs:
    """Predict validation and test images with the weights of a checkpoint.

    With classifier.threshold those of test are shifted, and those of validation, on which the shift was chosen, are
    cross-fitted. Raises NonFiniteError for logits that are not finite: the loss does not show the last update.
    """
    with ending_by_sigterm(trainer):
        predictions = trainer.predict(model, datamodule=images, ckpt_path=checkpoint, weights_only=True)
    assert predictions is not None
    outputs = {part: join_batches(batches) for part, batches in zip(("valid", "test"), predictions, strict=True)}
    if not all(logits.isfinite().all() for logits, _ in outputs.values()):
        raise NonFiniteError(
            f"{checkpoint}: predicts values that are not finite; try a smaller classifier.learning_rate (now "
            f"{model.config.learning_rate}), or classifier.checkpoint=best"
        )
    if model.threshold_shift is not None:  # the checkpoint's
        (valid, valid_labels), (test, test_labels) = outputs["valid"], outputs["test"]
        cross_fitted = torch.from_numpy(cross_fit(valid.numpy(), valid_labels.numpy())).float()
        outputs = {"valid": (cross_fitted, valid_labels), "test": (test + model.threshold_shift.cpu(), test_labels)}
    return outputs


def join_batches(batches: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Batches of logits (B, K) and labels (B,) -> logits (N, K) float32 and labels (N,)."""
    logits, labels = zip(*batches, strict=True)
    return torch.cat(logits).float(), torch.cat(labels)


def _image_counts(data: PreparedData, plan: TrainingPlan, model: Classifier) -> dict[str, dict[str, int]]:
    """Return the counts of training images by origin, as fields of a Result."""
    labels = data.split.labels("train")
    added: dict[str, dict[str, int]] = {origin: plan.added_from(origin) for origin in ORIGIN_TITLES}
    if isinstance(model, JointClassifier):
        added[GENERATED] = model.generated_by_class()
    return {"real": count_used(labels, plan), "repeated": count_repeated(labels, plan), **added}


def _log_outcome(
    trainer: lightning.Trainer, settings: Settings, arm: Arm, result: Result, logits: Tensor, labels: Tensor
) -> None:
    """Log the results on test. logits: (N, K) of the test images; labels: their classes (N,)."""
    test = result.metrics["test"]
    log_test_results(trainer.loggers, result.classes, test, logits, labels, result.selected_epoch)
    names = ("accuracy", "balanced_accuracy", "loss")
    metrics = {f"test_{name}": result.metrics["test"][name] for name in names}
    groups = {"gan": settings.gan, "classifier": settings.classifier, "joint": arm.joint or settings.joint}
    log_outcome(trainer.loggers, result, groups, metrics)


def _write_training_table(images: ImageDataModule, folder: Path) -> None:
    with atomic_write(folder / "training.csv") as temporary:
        images.training_table().to_csv(temporary, index=False, errors="surrogateescape")


def with_content_hashes(data: PreparedData, outputs: Outputs) -> dict[str, Predictions]:
    """Return {part: predictions with the content hashes of the images}."""
    table = data.split.table
    predictions = {}
    for part, (logits, labels) in outputs.items():
        hashes = table.loc[table["split"] == part, "content_hash"].to_numpy(dtype=str)
        predictions[part] = Predictions(logits.numpy(), labels.numpy(), hashes, data.classes)
    return predictions


def describe_result(result: Result) -> str:
    """Return the results on test in one line."""
    test = result.metrics["test"]
    return (
        f"{result.arm}: test accuracy {test['accuracy']:.1%}, balanced accuracy {test['balanced_accuracy']:.1%}, "
        f"loss {test['loss']:.4f} on {test['images']} images (epoch {result.selected_epoch}, {result.seconds:.0f} s)"
    )
