"""Checks of generated images: can they be told from real ones, and are they copies of training images?"""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchvision.utils import make_grid, save_image

from fer_experiments.balance import Generate
from fer_experiments.classifier.probe import MOST, NotMeasured, shortcut_probe
from fer_experiments.data.batches import InOrder
from fer_experiments.data.leak import leak_to_gan
from fer_experiments.data.module import EVALUATION_BATCH, ImageData, Images
from fer_experiments.data.synthetic import read_synthetic
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.nearest import FEWEST_HELD_OUT, Features, memorisation, nearest

if TYPE_CHECKING:
    from fer_experiments.train.cnn import Arm
    from fer_experiments.train.config import Config

log = logging.getLogger(__name__)
FILE = "audit.json"
COLUMNS_SHOWN = 8


def audit_arms(
    config: Config, data: ImageData, arms: dict[Path, Arm], synthetic: dict[str, Path], leak: bool = False
) -> None:
    """Audit what the GANs trained here wrote, into their folders, and what arms brought (balance.synthetic).

    arms: {folder: arm}; several classes that an arm brings get a folder each in it. synthetic: find_synthetic's
    {class: folder of its generated images}, each inside its GAN's folder. leak: as there.
    """
    trained: Counter[str] = Counter()
    seen = leak_to_gan(data) if leak else data
    for folder, arm in arms.items():
        planned = arm.balance.plan(data.split.labels("train"), config.seed).generated
        if arm.balance.needs_images:
            trained |= Counter(planned)
        elif isinstance(arm.balance, Generate) and arm.balance.synthetic is not None:
            for label, count in planned.items():
                there = folder / label if len(planned) > 1 else folder
                audit_generated(config, seen, label, count, arm.balance.synthetic, there)
    for label, images in synthetic.items():
        shared = list(synthetic.values()).count(images) > 1  # a conditional GAN's, with a folder for each class
        there = images.parent / label if shared else images.parent
        audit_generated(config, seen, label, trained[label], images, there)


def audit_generated(config: Config, data: ImageData, label: str, count: int, synthetic: Path, folder: Path) -> None:
    """Hold the first `count` generated images of a class against its real training images; audit.json says it.

    nearest.csv and nearest.png name and show the training image nearest to each, the nearest pair first. An audit that
    fails costs no training: audit.json then holds the `problem`, and the log the traceback.
    """
    started = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {"class": label, "generated": count, "synthetic": str(synthetic)}
    try:
        facts |= _audit(config, data, label, count, synthetic, folder)
    except Exception as error:
        facts["problem"] = f"{type(error).__name__}: {error}"
        log.error("the audit of %s failed: %s", label, error, exc_info=not isinstance(error, ConfigError))
    else:
        log.info("generated images of %s: %s", label, describe(facts))
    facts["seconds"] = time.monotonic() - started
    (folder / FILE).write_text(json.dumps(facts, indent=1))


def _audit(config: Config, data: ImageData, label: str, count: int, synthetic: Path, folder: Path) -> dict[str, Any]:
    size, bottleneck = config.classifier.image_size, config.data.bottleneck
    generated = read_synthetic(synthetic, {label: count}, data.split.hash, config.data.stored_channels)
    train, held_out = (_of_class(data, part, label) for part in ("train", "valid"))
    # One view of all, so that each image is seen as the classifier sees it.
    rows = np.concatenate([train.index, held_out.index])
    labels = np.zeros(len(rows) + count, dtype=np.int64)
    images = Images(data.cache.images, rows, labels, size, bottleneck, generated.images)
    real, made = (list(range(start, stop)) for start, stop in ((0, len(train)), (len(rows), len(images))))
    # Rows are sorted by content hash, so the first MOST are as good as drawn.
    probe = shortcut_probe(images[real[:MOST]][0], images[made[:MOST]][0], config.seed)
    features = _features(images)
    train_features = features[: len(train)]
    distances, places = nearest(features.plain[made], train_features)
    paths = train["path"].to_numpy()[places.numpy()]
    table = pd.DataFrame({"generated": generated.files, "nearest": paths, "distance": distances.numpy()})
    order = np.argsort(distances.numpy(), kind="stable")
    table.iloc[order].to_csv(folder / "nearest.csv", index=False, errors="surrogateescape")
    shown = order[:COLUMNS_SHOWN]
    _picture(images[[made[place] for place in shown]][0], images[places[shown].tolist()][0], folder / "nearest.png")
    found = memorisation(features[len(rows) :], train_features, features[len(train) : len(rows)])
    few = {"not_measured": f"{len(held_out)} held-out images of the class; {FEWEST_HELD_OUT} are needed"}
    return {
        "real": len(train),
        "held_out": len(held_out),
        "image_size": size,
        "bottleneck": bottleneck,
        "probe": {"not_measured": probe.reason} if isinstance(probe, NotMeasured) else asdict(probe),
        "memorisation": few if found is None else asdict(found),
    }


def _of_class(data: ImageData, part: str, label: str) -> pd.DataFrame:
    """A part's images of one class, indexed by the row in the cache."""
    table = data.split.table
    return table[(table["split"] == part) & (table["label"] == label)]


def _features(images: Images) -> Features:
    parts = [Features.of_pixels(images[places][0]) for places in InOrder(len(images), EVALUATION_BATCH)]
    return Features(torch.cat([part.plain for part in parts]), torch.cat([part.mirrored for part in parts]))


def _picture(generated: Tensor, real: Tensor, path: Path) -> None:
    """Generated images (N, C, S, S) uint8 above, under each its real one."""
    save_image(make_grid(torch.cat([generated, real]).float() / 255, nrow=len(generated), padding=2), path)


def describe(facts: dict[str, Any]) -> str:
    """ "told from real ones with AUROC 0.98 (0.94 to 1.00; 0.5 is chance); 4% lie nearer to a training image ..."."""
    probe, copies = facts["probe"], facts["memorisation"]
    if "auroc" in probe:
        interval = f"{probe['low']:.2f} to {probe['high']:.2f}; 0.5 is chance"
        told = f"told from real ones with AUROC {probe['auroc']:.2f} ({interval})"
    else:
        told = f"shortcut probe not measured ({probe['not_measured']})"
    if "share" in copies:
        near = f"{copies['share']:.0%} lie nearer to a training image than {copies['expected']:.0%} of held-out ones do"
    else:
        near = f"memorisation not measured ({copies['not_measured']})"
    return f"{told}; {near}"
