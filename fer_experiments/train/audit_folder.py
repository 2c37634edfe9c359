"""All measures of any folder of generated images, against the split of a run."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from fer_experiments.data.class_folders import read_class_folders, splits_of
from fer_experiments.data.module import ImageData
from fer_experiments.data.synthetic import GeneratedImages
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.findings import Finding, worst
from fer_experiments.train.audit import FILE
from fer_experiments.train.config import Config, load
from fer_experiments.train.facts import HEADLINE, facts_of_class
from fer_experiments.train.judge import find_judge, train_judge
from fer_experiments.whole import whole

log = logging.getLogger(__name__)
NUMBERS = (*HEADLINE, "usefulness")


def audit_folder(folder: Path, split: Path, out: Path, usefulness: bool, trust: bool = False) -> dict[str, Any]:
    """What audit.json says, which goes to `out` with nearest.png, and each class's own nearest.csv and .png.

    Overall numbers are means over the classes, weighted by their generated images; usefulness, which costs the training
    of a classifier, is of all classes at once. Raises ConfigError for what can't be audited.
    """
    config, data = read_run(split, trust)
    stored = data.cache.images.shape[1]
    generated = read_class_folders(folder, data.classes, config.data.stored_channels, stored)
    judge = find_judge(config, data)
    classes: dict[str, dict[str, Any]] = {}
    for label, count in generated.counts().items():
        own = generated.take(np.flatnonzero(generated.labels == label))
        facts = facts_of_class(config, data, judge, label, own, out / label)
        classes[label] = {"class": label, "generated": count, "usefulness": None, **facts}
        _told_of_another_split(classes[label], splits_of(folder), data.split.hash)
    learnt: dict[str, Any] = _usefulness(config, data, generated) if usefulness else {"not_measured": "left out"}
    for label, found in classes.items():
        found["usefulness"] = learnt.get("recall", {}).get(label)
    facts = {
        "synthetic": str(folder),
        "split": str(split),
        "split_hash": data.split.hash,
        "generated": len(generated.labels),
        **{name: _mean(classes, name) for name in NUMBERS},
        "usefulness": learnt.get("balanced_accuracy"),
        "learnt_from_generated": learnt,
        "learnt_from_real": judge.measured,
        "checks": {name: overall(classes, name) for name in next(iter(classes.values()))["checks"]},
        "classes": classes,
    }
    _join_pictures([out / label / "nearest.png" for label in classes], out / "nearest.png")
    with whole(out / FILE) as temporary:
        temporary.write_text(json.dumps(facts, indent=1))
    return facts


def read_run(split: Path, trust: bool = False) -> tuple[Config, ImageData]:
    """The configuration and the data of the run that split.csv lies in. Raises ConfigError unless that is its split."""
    try:
        wanted = hashlib.sha256(split.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise ConfigError(f"--split {split}: can't be read: {error}; name the split.csv of a run") from None
    above = [folder / "config.yaml" for folder in split.resolve().parents]
    file = next((path for path in above if path.is_file()), None)
    if file is None:
        raise ConfigError(f"--split {split}: has no config.yaml beside it or above; name the split.csv of a run")
    config = Config.read(_on_any_device(load(file, trust)))
    tried = list(dict.fromkeys(_seeds(config, split)))
    for seed in tried:
        data = ImageData.prepare(config.data, seed)
        if data.split.hash == wanted:
            return config.model_copy(update={"seed": seed}), data
    raise ConfigError(
        f"--split {split}: is not the split that {file} makes with seed {', '.join(map(str, tried))}; the file or the "
        "images have changed since: start a new run, or restore them"
    )


def _on_any_device(loaded: DictConfig) -> DictConfig:
    """The configuration as it was, but on whatever device is here."""
    if OmegaConf.select(loaded, "trainer.accelerator") == "gpu":
        loaded.trainer.accelerator = "auto"
    return loaded


def _seeds(config: Config, split: Path) -> Iterator[int]:
    """That of the folder seed_N, else the run's, else one of a study's list."""
    named = re.fullmatch(r"seed_(\d+)", split.resolve().parent.name)
    if named:
        yield int(named[1])
    yield config.seed
    several = getattr(config.train, "seeds", None)
    yield from several if isinstance(several, list) else []


def _usefulness(config: Config, data: ImageData, generated: GeneratedImages) -> dict[str, Any]:
    """Of a classifier trained like the judge, but on generated images alone of the classes that have some.

    On real validation images (classification accuracy score, Ravuri and Vinyals 2019; here balanced).
    """
    return train_judge(config, data, generated).measured


def _told_of_another_split(facts: dict[str, Any], named: set[str], own: str) -> None:
    """A manifest that names other splits makes the check of leakage at least a warning."""
    others = sorted(named - {own})
    check = facts["checks"]["leakage"]
    if others:
        check["said"] += f" Its manifest names another split ({', '.join(others)}), this one is {own}."
        check["status"] = "fail" if check["status"] == "fail" else "warn"


def overall(classes: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """The worst finding of the classes."""
    return worst({label: Finding(**facts["checks"][name]) for label, facts in classes.items()})._asdict()


def _mean(classes: dict[str, dict[str, Any]], name: str) -> float | None:
    """Over the classes that have the number."""
    known = {label: facts[name] for label, facts in classes.items() if facts[name] is not None}
    weights = [classes[label]["generated"] for label in known]
    return float(np.average(list(known.values()), weights=weights)) if known else None


def _join_pictures(paths: list[Path], out: Path) -> None:
    """One below the other."""
    pictures = [Image.open(path) for path in paths]
    joined = Image.new("RGB", (max(one.width for one in pictures), sum(one.height for one in pictures)))
    top = 0
    for picture in pictures:
        joined.paste(picture, (0, top))
        top += picture.height
    with whole(out) as temporary:
        joined.save(temporary)
