"""The training of a split's reference classifier, which is kept in data.cache_dir for all runs of the split."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from filelock import FileLock
from lightning.pytorch.utilities.seed import isolate_rng
from torch import nn

from fer_experiments.audit.reference_classifier import ReferenceClassifier
from fer_experiments.audit.settings import AuditSettings
from fer_experiments.augment import Traditional
from fer_experiments.balance import TrainingPlan
from fer_experiments.balance.sampling import repeat_small_classes
from fer_experiments.classifier.build import build_classifier
from fer_experiments.classifier.trained import PACKAGE_NETWORKS
from fer_experiments.data.datamodule import ImageDataModule
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.synthetic import GeneratedImages
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.metrics import classification_metrics
from fer_experiments.trainer.build import build_trainer
from fer_experiments.trainer.callbacks.weight_average import WeightAverage
from fer_experiments.trainer.checkpoint_io import save_atomically
from fer_experiments.trainer.fingerprint import hash_source, training_fingerprint
from fer_experiments.trainer.sigterm import ending_by_sigterm

log = logging.getLogger(__name__)
VERSION = 1  # of the training and of the file; if it changes, every reference classifier is trained again
FOLDER = "reference_classifiers"  # in data.cache_dir
SEED = 0  # whichever run needs the reference classifier, because it belongs to the split
AUGMENT = Traditional(flip=0.5, degrees=10.0, translate=0.08, scale=0.1)  # as conf/augment/traditional.yaml
REPORTED_METRICS = ("balanced_accuracy", "recall", "images")
VALIDATION_CHUNK = 1024  # validation images in memory at once


@isolate_rng()
def get_or_train_reference_classifier(settings: AuditSettings, data: PreparedData) -> ReferenceClassifier:
    """Return the reference classifier of the split. All arms, GANs and runs share it; the first to need it trains it.

    Leaves the global random state as it was. Raises ConfigError if data.cache_dir can't be written, or if the file of
    the trained network can't be read.
    """
    path = data.source.cache_dir / FOLDER / f"{data.split.hash}-{compute_fingerprint(settings, data)}.pt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                _save(train_reference_classifier(settings, data), path)
    except OSError as error:
        raise ConfigError(f"data.cache_dir={data.source.cache_dir}: can't be written: {error}") from error
    return _load(settings, data, path)


def compute_fingerprint(settings: AuditSettings, data: PreparedData) -> str:
    """Return 16 hexadecimal digits of everything on which the trained network depends.

    The source file of a network of the user's is a part of it.
    """
    target = settings.reference_classifier.network["_target_"]
    is_ours = target in PACKAGE_NETWORKS
    return training_fingerprint(
        settings.trainer,
        data,
        SEED,
        is_shared=True,
        version=VERSION,
        classifier=settings.reference_classifier.fingerprint_values("checkpoint_every"),
        code=None if is_ours else hash_source("reference_classifier.network._target_", target),
    )


@isolate_rng()
def train_reference_classifier(
    settings: AuditSettings, data: PreparedData, generated: GeneratedImages | None = None
) -> ReferenceClassifier:
    """Train a classifier on all classes of the training part, oversampled to equal sizes.

    With `generated`, its classes are learned from its images alone and the remaining classes from real images, in as
    many steps. Leaves the global random state as it was.
    """
    config = settings.reference_classifier
    name = "reference classifier" if generated is None else "classifier of generated images"
    with tempfile.TemporaryDirectory() as folder:
        lightning.seed_everything(SEED, workers=True, verbose=False)
        images = _training_images(settings, data, generated)
        model = build_classifier(config, data, TrainingPlan(np.arange(0)), SEED)
        average = [] if config.ema is None else [WeightAverage(config.ema)]
        trainer = build_trainer(settings.trainer.on_first_device, name, config.epochs, Path(folder), average)
        log.info("%s: %d images, %d epochs", name, len(images.train_set), trainer.max_epochs or 0)
        with ending_by_sigterm(trainer):
            trainer.fit(model, datamodule=images)
    classifier = _wrap_network(settings, data, model.network, {})
    metrics = measure_on_validation(classifier, images, data)
    log.info("%s: balanced accuracy %.1f%% on validation", name, 100 * metrics["balanced_accuracy"])
    return _wrap_network(settings, data, model.network, metrics)


def measure_on_validation(
    classifier: ReferenceClassifier, images: ImageDataModule, data: PreparedData
) -> dict[str, Any]:
    """Return the REPORTED_METRICS on the real images of the validation part."""
    part = images.part("valid")
    chunks = torch.arange(len(part)).split(VALIDATION_CHUNK)
    logits = torch.cat([classifier.logits(part[chunk.tolist()][0]) for chunk in chunks])
    metrics = classification_metrics(logits, part.labels, data.classes)
    return {name: metrics[name] for name in REPORTED_METRICS}


def _training_images(settings: AuditSettings, data: PreparedData, generated: GeneratedImages | None) -> ImageDataModule:
    """Return the training part with its small classes repeated. The classes in `generated` have its images alone."""
    labels = data.split.labels("train")
    kept = np.arange(len(labels))
    if generated is not None:
        kept = np.flatnonzero(~np.isin(labels, generated.labels))
        labels = np.concatenate([labels[kept], generated.labels])
    places = repeat_small_classes("auto", labels, SEED)
    is_real = places < len(kept)
    batch_size = settings.reference_classifier.batch_size
    images = ImageDataModule(
        data,
        image_size=settings.reference_classifier.image_size,
        batch_size=batch_size,
        seed=SEED,
        train_indices=kept[places[is_real]],
        steps_per_epoch=data.steps_per_epoch(batch_size),
        augment=AUGMENT,
    )
    if generated is not None:
        images.inject(generated.take(places[~is_real] - len(kept)))
    return images


def _wrap_network(
    settings: AuditSettings, data: PreparedData, network: nn.Module, metrics: dict[str, Any]
) -> ReferenceClassifier:
    return ReferenceClassifier(
        network=network.to(settings.trainer.first_device).eval(),
        classes=data.classes,
        channels=data.source.channels,
        image_size=settings.reference_classifier.image_size,
        flip_test=settings.reference_classifier.flip_test,
        metrics=metrics,
    )


def _save(classifier: ReferenceClassifier, path: Path) -> None:
    save_atomically({"network": classifier.network.state_dict(), "metrics": classifier.metrics}, path)


def _load(settings: AuditSettings, data: PreparedData, path: Path) -> ReferenceClassifier:
    network = settings.reference_classifier.build_network(len(data.classes), data.source.channels)
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        network.load_state_dict(saved["network"])
    except Exception as error:  # torch.load raises anything for files that it did not write
        reason = str(error).split(". ")[0]  # torch continues with advice on trusting files
        raise ConfigError(
            f"the reference classifier {path} can't be read: {reason}; remove the file, and it is trained again"
        ) from None
    return _wrap_network(settings, data, network.to(memory_format=torch.channels_last), saved["metrics"])
