"""Images of a generator that was not trained here: drawn from its folder, and refused if they copy test images."""

import hashlib
import logging
from functools import partial
from pathlib import Path

import numpy as np

from fer_experiments.audit.audit_generated import audit_images
from fer_experiments.audit.class_audit import ClassAudit
from fer_experiments.audit.finding import Finding
from fer_experiments.audit.image_scores import ImageScorer
from fer_experiments.audit.reference_training import get_or_train_reference_classifier
from fer_experiments.balance import External
from fer_experiments.data.class_folders import (
    find_common_white_level,
    find_foreign_splits,
    read_images,
)
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.synthetic import GeneratedImages
from fer_experiments.errors import ConfigError
from fer_experiments.random_streams import RandomStream
from fer_experiments.train.arms.check_external import list_external_images
from fer_experiments.train.settings import Settings

log = logging.getLogger(__name__)
SCORED_AT_ONCE = 64


def draw_external_images(
    settings: Settings, data: PreparedData, balance: External, needed: dict[str, int]
) -> GeneratedImages:
    """Draw needed = {class: images} from the folder by the run's seed; more of them contain fewer.

    Images with a fault in balance.reject are left out, and others taken. Identical ones are counted in a warning.
    Raises ConfigError if the folder can't be read or has too few images.
    """
    files = list_external_images(data, balance, needed)
    white_level = data.cache.white_level or find_common_white_level(
        [file for label in needed for file in files.get(label, [])]
    )
    rng = np.random.default_rng([settings.seed, RandomStream.EXTERNAL_IMAGES])
    chosen: list[Path] = []
    labels: list[str] = []
    for label in data.classes:  # all of them, so that no class shifts the draws of another
        shuffled = [files.get(label, [])[place] for place in rng.permutation(len(files.get(label, [])))]
        if label in needed:
            chosen += _choose(settings, data, balance, label, shuffled, needed[label], white_level)
            labels += [label] * needed[label]
    images = read_images(chosen, labels, data.source.stored_channels, data.cache.images.shape[1], white_level)
    _warn_about_copies(images, balance.synthetic)
    return images


def _warn_about_copies(images: GeneratedImages, folder: Path) -> None:
    """Warn about images with the same pixels as an earlier one of their class."""
    for label, count in images.counts().items():
        of_class = images.images[images.labels == label]
        copies = count - len({pixels.tobytes() for pixels in of_class})
        if copies:
            log.warning(
                "balance.synthetic=%s: %d of %d images of %s are copies of others", folder, copies, count, label
            )


def check_external_images(
    settings: Settings, data: PreparedData, balance: External, images: GeneratedImages, folder: Path
) -> None:
    """Audit the images of each class, into `folder` or, of several classes, into a folder for each.

    Raises ConfigError if they are copies of held-out, validation or test images, or if that could not be found out
    because the audit failed, unless balance.trust is set. If there are too few images to measure it, that is a warning.
    """
    foreign = find_foreign_splits(balance.synthetic, data.split.hash)
    counts = images.counts()
    for label, count in counts.items():
        of_class = partial(images.take, np.flatnonzero(images.labels == label))
        place = folder / label if len(counts) > 1 else folder
        audit = ClassAudit(
            label=label,
            generated=count,
            synthetic=str(balance.synthetic),
            manifest=_hash_images(of_class(), data.split.hash, foreign),
            encoder=settings.encoder.describe(),
        )
        audit = audit_images(settings.audit_settings, data, audit, of_class, place, foreign)
        leakage = audit.checks.get("leakage", Finding("fail", f"The audit failed: {audit.problem}.", is_measured=False))
        if leakage.status == "warn":
            log.warning("the images of %s may be copies of real ones. %s", label, leakage.message)
        if leakage.status != "fail":
            continue
        if not balance.trust:
            raise ConfigError(
                f"balance.synthetic={balance.synthetic}: {label}: {leakage.message} Its generator may have seen "
                f"them, and then its images say nothing about its use (see {place}); train it on what python -m "
                "fer_experiments.split writes, or set balance.trust=true"
            )
        log.warning("%s: %s They are used all the same (balance.trust=true)", label, leakage.message)


def _hash_images(images: GeneratedImages, split_hash: str, foreign_splits: list[str]) -> str:
    """Return a hash of the images and of what they are compared with, so that a change of either is audited anew."""
    digest = hashlib.sha256(" ".join([split_hash, *foreign_splits]).encode())
    digest.update(np.ascontiguousarray(images.images).data)
    return digest.hexdigest()[:16]


def _choose(
    settings: Settings,
    data: PreparedData,
    balance: External,
    label: str,
    files: list[Path],
    count: int,
    white_level: float | None,
) -> list[Path]:
    """Return the files of the first `count` images of the class without the faults that balance.reject names.

    Args:
        settings: the configuration.
        data: the real images.
        balance: the strategy, with its folder and the faults.
        label: the class.
        files: its images, in the order in which they are taken.
        count: how many are needed.
        white_level: the value that is white in images of more than 8 bits.

    Raises:
        ConfigError: there are too few.
    """
    if not balance.reject:
        return files[:count]
    channels, side = data.source.stored_channels, data.cache.images.shape[1]
    reference = get_or_train_reference_classifier(settings.audit_settings, data)
    score = ImageScorer(data, reference, label, settings.classifier.image_size)
    accepted: list[Path] = []
    scored = 0
    while len(accepted) < count and scored < len(files):
        batch = files[scored : scored + SCORED_AT_ONCE]
        is_faulty = score(read_images(batch, [label] * len(batch), channels, side, white_level).images)[
            list(balance.reject)
        ].any(axis=1)
        accepted += [file for file, faulty in zip(batch, is_faulty, strict=True) if not faulty]
        scored += len(batch)
    log.info("%s: %d of %d external images accepted; %d are needed", label, len(accepted), scored, count)
    if len(accepted) < count:
        raise ConfigError(
            f"balance.synthetic={balance.synthetic}: balance.reject={list(balance.reject)} lets through "
            f"{len(accepted)} of {scored} images of {label}, {count} are needed; add some, or reject less"
        )
    return accepted[:count]
