"""The audit of those generated images of a class that a run uses."""

import hashlib
import logging
import time
from collections.abc import Collection
from pathlib import Path

from fer_experiments.audit.class_audit import ClassAudit, complete_audit
from fer_experiments.audit.reference_training import get_or_train_reference_classifier
from fer_experiments.audit.settings import AuditSettings
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.synthetic import MANIFEST, read_synthetic
from fer_experiments.distributed import on_rank_zero
from fer_experiments.errors import ConfigError, StorageError

log = logging.getLogger(__name__)


@on_rank_zero
def audit_generated(
    settings: AuditSettings,
    data: PreparedData,
    label: str,
    count: int,
    synthetic: Path,
    folder: Path,
    reject: Collection[str] = (),
) -> None:
    """Audit the first `count` generated images of a class that have none of the faults `reject`.

    Write audit.json, nearest.csv and nearest.png to `folder`. If the audit fails, the run continues: audit.json then
    names the problem, and the log has the traceback. Images that an earlier start of the run has audited are not
    audited again.

    Args:
        settings: what the audit depends on.
        data: the images and the split that the generator was trained on.
        label: the class.
        count: how many images the run uses.
        synthetic: the folder of the generated images, with their manifest.
        folder: where the audit is written.
        reject: the faults for which the run does not use an image.
    """
    started = time.monotonic()
    audit = ClassAudit(
        label=label, generated=count, synthetic=str(synthetic), manifest=_hash_file(synthetic / MANIFEST)
    )
    if _is_audited(folder, audit):
        log.info("the generated images of %s are audited already", label)
        return
    try:
        generated = read_synthetic(synthetic, {label: count}, data.split.hash, data.source.stored_channels, reject)
        reference = get_or_train_reference_classifier(settings, data)
        audit = complete_audit(audit, settings, data, reference, generated, folder)
        log.info("generated images of %s: %s", label, audit.describe_checks())
    except StorageError:
        raise
    except Exception as error:
        audit = audit.model_copy(update={"problem": f"{type(error).__name__}: {error}"})
        log.error("the audit of %s failed: %s", label, error, exc_info=not isinstance(error, ConfigError))
    audit.model_copy(update={"seconds": time.monotonic() - started}).save(folder)


def _hash_file(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else None


def _is_audited(folder: Path, audit: ClassAudit) -> bool:
    """Whether `folder` has a finished audit of the same images."""
    try:
        previous = ClassAudit.load(folder)
    except ValueError:
        return False
    identity = ("label", "generated", "synthetic", "manifest")
    return previous.measures is not None and all(getattr(previous, name) == getattr(audit, name) for name in identity)
