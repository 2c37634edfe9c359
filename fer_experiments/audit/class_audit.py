"""The audit of one class: features, measures, findings, and the pictures that go with them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fer_experiments.audit.class_images import GENERATED, MAX_IMAGES, ClassImages
from fer_experiments.audit.findings import make_findings
from fer_experiments.audit.measures import ClassMeasures, compute_features, measure_class
from fer_experiments.audit.nearest_images import write_nearest_images
from fer_experiments.audit.record import AuditRecord
from fer_experiments.audit.reference_classifier import ReferenceClassifier
from fer_experiments.audit.settings import AuditSettings
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.synthetic import GeneratedImages
from fer_experiments.progress import show_activity
from fer_experiments.trainer.loggers.projector import MAX_POINTS, write_projector


class ClassAudit(AuditRecord):
    """An audit whose measures have a type; they are None before they are made and after a failure."""

    measures: ClassMeasures | None = None


def complete_audit(
    audit: ClassAudit,
    settings: AuditSettings,
    data: PreparedData,
    reference: ReferenceClassifier,
    generated: GeneratedImages,
    folder: Path,
) -> ClassAudit:
    """Return the audit with its measures and findings; write nearest.csv, nearest.png and the projector's files.

    Args:
        audit: the record without measures; it says what is audited.
        settings: what the audit depends on.
        data: the images and the split that the generator was trained on.
        reference: the reference classifier of the split.
        generated: the generated images of the class. If there are more than MAX_IMAGES, so many evenly spaced ones
            are measured.
        folder: where the files are written; it is created if it does not exist.
    """
    if len(generated.files) > MAX_IMAGES:
        places = np.linspace(0, len(generated.files) - 1, MAX_IMAGES).round().astype(np.int64)
        generated = generated.take(places)
    with show_activity(f"checking the generated images of {audit.label}"):
        images, size = ClassImages(data, audit.label, generated.images), settings.classifier_image_size
        features = compute_features(images, settings, reference)
        pixels, train = features.pixels[GENERATED], features.training_pixels
        write_nearest_images(images, pixels, train, generated.files, size, folder)
        thumbnails = {
            part: images.first(part, size, min(MAX_POINTS, len(values))) for part, values in features.deep.items()
        }
        write_projector(folder, features.deep, thumbnails)
        measures = measure_class(images, features, settings, reference)
    results = {"measures": measures, "headline": measures.headline(), "checks": make_findings(measures)}
    return audit.model_copy(update=results)


def warn_about_foreign_splits(audit: ClassAudit, foreign: Sequence[str], split_hash: str) -> ClassAudit:
    """Make the check of leakage at least a warning if the images were made from other splits than `split_hash`."""
    if not foreign:
        return audit
    leakage = audit.checks["leakage"]
    message = f"{leakage.message} They were made from another split ({', '.join(foreign)}), this one is {split_hash}."
    warned = replace(leakage, message=message, status="fail" if leakage.status == "fail" else "warn")
    return audit.model_copy(update={"checks": audit.checks | {"leakage": warned}})
