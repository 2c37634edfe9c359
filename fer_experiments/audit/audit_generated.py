"""The audit of those generated images of a class that a run uses."""

import hashlib
import logging
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from fer_experiments.audit.class_audit import ClassAudit, complete_audit, warn_about_foreign_splits
from fer_experiments.audit.reference_training import get_or_train_reference_classifier
from fer_experiments.audit.settings import AuditSettings
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.synthetic import MANIFEST, GeneratedImages, read_synthetic
from fer_experiments.distributed import on_rank_zero
from fer_experiments.errors import ConfigError, StorageError

log = logging.getLogger(__name__)


def audit_generated(
    settings: AuditSettings,
    data: PreparedData,
    label: str,
    count: int,
    synthetic: Path,
    folder: Path,
    reject: Collection[str] = (),
) -> None:
    """Audit the first `count` generated images of a class that have none of the faults `reject`, as audit_images does.

    Args:
        settings: what the audit depends on.
        data: the images and the split that the generator was trained on.
        label: the class.
        count: how many images the run uses.
        synthetic: the folder of the generated images, with their manifest.
        folder: where the audit is written.
        reject: the faults for which the run does not use an image.
    """

    def read() -> GeneratedImages:
        return read_synthetic(synthetic, {label: count}, data.split.hash, data.source.stored_channels, reject)

    audit = ClassAudit(
        label=label,
        generated=count,
        synthetic=str(synthetic),
        manifest=_hash_file(synthetic / MANIFEST),
        encoder=settings.encoder.describe(),
    )
    audit_images(settings, data, audit, read, folder)


@on_rank_zero
def audit_images(
    settings: AuditSettings,
    data: PreparedData,
    audit: ClassAudit,
    read: Callable[[], GeneratedImages],
    folder: Path,
    foreign_splits: Sequence[str] = (),
) -> ClassAudit:
    """Audit generated images of a class, and return the audit.

    Write audit.json, nearest.csv and nearest.png to `folder`. If the audit fails, the run continues: audit.json then
    names the problem, and the log has the traceback. Images that an earlier start of the run has audited are not
    audited again.

    Args:
        settings: what the audit depends on.
        data: the images and the split that the generator was trained on.
        audit: the record without measures; it says what is audited.
        read: returns the images; it is called only if they are not audited yet.
        folder: where the audit is written.
        foreign_splits: the hashes of other splits from which the images were made.
    """
    started = time.monotonic()
    previous = _load_finished(folder, audit)
    if previous is not None:
        log.info("the generated images of %s are audited already", audit.label)
        return previous
    try:
        generated = read()
        reference = get_or_train_reference_classifier(settings, data)
        audit = complete_audit(audit, settings, data, reference, generated, folder)
        audit = warn_about_foreign_splits(audit, foreign_splits, data.split.hash)
        log.info("generated images of %s: %s", audit.label, audit.describe_checks())
    except StorageError:
        raise
    except Exception as error:
        audit = audit.model_copy(update={"problem": f"{type(error).__name__}: {error}"})
        log.error("the audit of %s failed: %s", audit.label, error, exc_info=not isinstance(error, ConfigError))
    audit = audit.model_copy(update={"seconds": time.monotonic() - started})
    audit.save(folder)
    return audit


def _hash_file(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else None


def _load_finished(folder: Path, audit: ClassAudit) -> ClassAudit | None:
    """Return the finished audit of the same images in `folder`; None if there is none."""
    previous = ClassAudit.load_or_none(folder)
    if previous is None:
        return None
    identity = ("label", "generated", "synthetic", "manifest", "encoder")
    is_same = all(getattr(previous, name) == getattr(audit, name) for name in identity)
    return previous if is_same and previous.measures is not None else None
