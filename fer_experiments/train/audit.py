"""Checks of generated images: can they be told from real ones, and are they copies of training images?"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_experiments.balance import Generate
from fer_experiments.data.leak import leak_to_gan
from fer_experiments.data.module import ImageData
from fer_experiments.data.synthetic import MANIFEST, read_synthetic
from fer_experiments.errors import ConfigError, StorageError
from fer_experiments.train.draw import Rejection
from fer_experiments.train.facts import facts_of_class
from fer_experiments.train.judge import find_judge
from fer_experiments.train.ranks import on_first
from fer_experiments.whole import whole

if TYPE_CHECKING:
    from fer_experiments.train.arm import Arm
    from fer_experiments.train.config import Config

log = logging.getLogger(__name__)
FILE = "audit.json"


def audit_arms(
    config: Config, data: ImageData, arms: dict[Path, Arm], synthetic: dict[str, Path], leak: bool = False
) -> None:
    """Audit what the GANs trained here wrote, into their folders, and what arms brought (balance.synthetic).

    arms: {folder: arm}; several classes that an arm brings get a folder each in it. synthetic: find_synthetic's
    {class: folder of its generated images}, each inside its GAN's folder. leak: as there.
    """
    trained: Counter[str] = Counter()
    reject = Rejection.of(arm.balance for arm in arms.values() if arm.balance.needs_images)
    seen = leak_to_gan(data) if leak else data
    for folder, arm in arms.items():
        planned = arm.balance.plan(data.split.labels("train"), config.seed).generated
        if arm.balance.needs_images:
            trained |= Counter(planned)
        elif isinstance(arm.balance, Generate) and arm.balance.synthetic is not None:
            for label, count in planned.items():
                there = folder / label if len(planned) > 1 else folder
                audit_generated(config, seen, label, count, arm.balance.synthetic, there, arm.balance.reject)
    for label, images in synthetic.items():
        shared = list(synthetic.values()).count(images) > 1  # a conditional GAN's, with a folder for each class
        there = images.parent / label if shared else images.parent
        audit_generated(config, seen, label, trained[label], images, there, reject.every)


@on_first
def audit_generated(
    config: Config,
    data: ImageData,
    label: str,
    count: int,
    synthetic: Path,
    folder: Path,
    reject: Collection[str] = (),
) -> None:
    """Hold the first `count` generated images of a class that have none of the faults `reject` against its real
    training images; audit.json says it.

    nearest.csv and nearest.png name and show the training image nearest to each, the nearest pair first. An audit that
    fails costs no training: audit.json then holds the `problem`, and the log the traceback. What an earlier start of
    the run has audited is left as it is.
    """
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {"class": label, "generated": count, "synthetic": str(synthetic)}
    facts["manifest"] = _hash(synthetic / MANIFEST)
    if _audited(folder, facts):
        log.info("the generated images of %s are audited already", label)
        return
    try:
        generated = read_synthetic(synthetic, {label: count}, data.split.hash, config.data.stored_channels, reject)
        facts |= facts_of_class(config, data, find_judge(config, data), label, generated, folder)
    except StorageError:
        raise
    except Exception as error:
        facts["problem"] = f"{type(error).__name__}: {error}"
        log.error("the audit of %s failed: %s", label, error, exc_info=not isinstance(error, ConfigError))
    else:
        log.info("generated images of %s: %s", label, describe(facts))
    facts["seconds"] = time.monotonic() - started
    with whole(folder / FILE) as temporary:
        temporary.write_text(json.dumps(facts, indent=1))


def _hash(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else None


def _audited(folder: Path, subject: dict[str, Any]) -> bool:
    """Whether `folder` has a whole audit of this."""
    try:
        facts = json.loads((folder / FILE).read_bytes())
    except (OSError, ValueError):
        return False
    return "checks" in facts and all(facts.get(name) == value for name, value in subject.items())


def describe(facts: dict[str, Any]) -> str:
    """ "shortcut fail, labels warn; all else pass", or that all checks pass."""
    found = {name: check["status"] for name, check in facts["checks"].items()}
    bad = [f"{name}: {status}" for name, status in found.items() if status != "pass"]
    return f"{', '.join(bad)}; all else pass" if bad else "all checks pass"
