"""The audit of any folder of generated images, against the split of a run."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fer_experiments.atomic_write import atomic_write
from fer_experiments.audit.class_audit import ClassAudit, complete_audit, warn_about_foreign_splits
from fer_experiments.audit.class_images import HELD_OUT, NO_IMAGES, ClassImages
from fer_experiments.audit.finding import Finding, worst_finding
from fer_experiments.audit.measures import HEADLINE
from fer_experiments.audit.nearest_images import NEAREST_PICTURE
from fer_experiments.audit.record import FolderAuditRecord, Headline
from fer_experiments.audit.reference_classifier import ReferenceClassifier
from fer_experiments.audit.reference_training import (
    REPORTED_METRICS,
    get_or_train_reference_classifier,
    train_reference_classifier,
)
from fer_experiments.audit.settings import AuditSettings
from fer_experiments.data.class_folders import find_foreign_splits, read_class_folders
from fer_experiments.data.prepared import PreparedData
from fer_experiments.evaluation.metrics import classification_metrics

log = logging.getLogger(__name__)
USEFULNESS = "usefulness"
NUMBERS = (*HEADLINE, USEFULNESS)
NOT_REQUESTED: dict[str, Any] = {"not_measured": "it was not requested"}


def audit_folder(
    settings: AuditSettings,
    data: PreparedData,
    folder: Path,
    split: Path,
    out: Path,
    *,
    measure_usefulness: bool,
) -> FolderAuditRecord:
    """Audit all classes of a folder of generated images; write audit.json and nearest.png, and each class's own files.

    Args:
        settings: what the audit depends on.
        data: the images and the split that the images are audited against.
        folder: holds CLASS/*.png or *.jpg of any size.
        split: the path of the split's split.csv, for the record.
        out: where the audit is written.
        measure_usefulness: train a classifier on the generated images alone, and measure it on the held-out images
            (classification accuracy score, Ravuri and Vinyals 2019; here balanced).

    Raises:
        ConfigError: the folder can't be audited.
    """
    stored_size = data.cache.images.shape[1]
    channels, white_level = data.source.stored_channels, data.cache.white_level
    generated = read_class_folders(folder, data.classes, channels, stored_size, white_level)
    reference = get_or_train_reference_classifier(settings, data)
    foreign_splits = find_foreign_splits(folder, data.split.hash)
    classes: dict[str, ClassAudit] = {}
    for label, count in generated.counts().items():
        images = generated.take(np.flatnonzero(generated.labels == label))
        audit = ClassAudit(label=label, generated=count, synthetic=str(folder), encoder=settings.encoder.describe())
        audit = complete_audit(audit, settings, data, reference, images, out / label)
        classes[label] = warn_about_foreign_splits(audit, foreign_splits, data.split.hash)
    learned, learned_from_real = NOT_REQUESTED, NOT_REQUESTED
    if measure_usefulness:
        real = [ClassImages(data, label, NO_IMAGES) for label in data.classes]
        learned = measure_on_held_out(train_reference_classifier(settings, data, generated), real)
        learned_from_real = measure_on_held_out(reference, real)
    for label, audit in classes.items():
        audit.headline[USEFULNESS] = learned.get("recall", {}).get(label)
    headline: Headline = {name: _mean_over_classes(classes, name) for name in HEADLINE}
    audit_of_all = FolderAuditRecord(
        synthetic=str(folder),
        split=str(split),
        split_hash=data.split.hash,
        generated=len(generated.labels),
        encoder=settings.encoder.describe(),
        headline={**headline, USEFULNESS: learned.get("balanced_accuracy")},
        learned_from_generated=learned,
        learned_from_real=learned_from_real,
        checks=_worst_findings(classes),
        classes=dict(classes),
    )
    _stack_pictures([out / label / NEAREST_PICTURE for label in classes], out / NEAREST_PICTURE)
    audit_of_all.save(out)
    return audit_of_all


def measure_on_held_out(classifier: ReferenceClassifier, classes: Sequence[ClassImages]) -> dict[str, Any]:
    """Return the REPORTED_METRICS on the held-out images of all classes, and how many of each class these are."""
    logits = [images.map(HELD_OUT, classifier.image_size, classifier.logits) for images in classes]
    labels = torch.arange(len(classes)).repeat_interleave(torch.tensor([len(values) for values in logits]))
    metrics = classification_metrics(torch.cat(logits), labels, [images.label for images in classes])
    held_out = {
        images.label: {"images": len(images.held_out.table), "source": images.held_out.source} for images in classes
    }
    return {name: metrics[name] for name in REPORTED_METRICS} | {"held_out": held_out}


def _worst_findings(classes: dict[str, ClassAudit]) -> dict[str, Finding]:
    """Return {check: the worst finding of the classes}."""
    names = next(iter(classes.values())).checks
    return {name: worst_finding({label: audit.checks[name] for label, audit in classes.items()}) for name in names}


def _mean_over_classes(classes: dict[str, ClassAudit], name: str) -> float | None:
    """Average a headline number over the classes that have it, weighted by their generated images."""
    values = {label: value for label, audit in classes.items() if (value := audit.headline[name]) is not None}
    weights = [classes[label].generated for label in values]
    return float(np.average(list(values.values()), weights=weights)) if values else None


def _stack_pictures(paths: list[Path], out: Path) -> None:
    """Write one picture that has the pictures at `paths` below each other."""
    pictures = [Image.open(path) for path in paths]
    size = max(picture.width for picture in pictures), sum(picture.height for picture in pictures)
    stacked = Image.new("RGB", size)
    top = 0
    for picture in pictures:
        stacked.paste(picture, (0, top))
        top += picture.height
    with atomic_write(out) as temporary:
        stacked.save(temporary)
