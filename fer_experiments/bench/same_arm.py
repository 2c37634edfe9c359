"""Does a study find what is not there? The same arm twice under two names, in many studies on drawn faces.

python -m fer_experiments.bench.same_arm --out DIR
"""

import argparse
import json
import logging
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fer_experiments.balance import Unchanged
from fer_experiments.bench.cases import configured
from fer_experiments.data.module import ImageData
from fer_experiments.ending import ended
from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.evaluation.statistics import Comparison, compare
from fer_experiments.train.arm import Arm
from fer_experiments.train.cnn import train_classifier
from fer_experiments.train.config import Config

# As in the default study, but on small images and for a few epochs: what is tested is the verdict.
SETTINGS = ("trainer=cpu", "trainer.progress=false", "classifier.image_size=48", "classifier.epochs=6")
OTHER_LUCK = 10**6  # added to the seed of the second name's trainings; data and split stay


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench.same_arm", description=__doc__)
    parser.add_argument("--studies", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True, help="folder for same_arm.json")
    parser.add_argument("settings", nargs="*", help="further settings, such as classifier.epochs=10")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    options.out.mkdir(parents=True, exist_ok=True)
    found: list[Comparison] = []
    for number in range(options.studies):
        config = configured(*SETTINGS, *options.settings, f"data.faces_seed={number}")
        found.append(study(config, range(options.seeds), options.out / f"study_{number}"))
        (options.out / "same_arm.json").write_text(json.dumps([asdict(one) for one in found], indent=1))
        print(f"study {number}: {found[-1].verdict}, {found[-1].explanation}", flush=True)
    counts = Counter(one.verdict for one in found)
    print(f"{len(found)} studies of {options.seeds} seeds: " + ", ".join(f"{n} {said}" for said, n in counts.items()))


def study(config: Config, seeds: Sequence[int], folder: Path) -> Comparison:
    """Train the arm `none` under both names with every seed, and compare."""
    trained: dict[str, list[Predictions]] = {"none": [], "again": []}
    for seed in seeds:
        data = ImageData.prepare(config.data, seed)
        for name, luck in (("none", seed), ("again", seed + OTHER_LUCK)):
            here = folder / f"seed_{seed}" / name
            arm = Arm(name, Unchanged(), config.augment)
            train_classifier(config.model_copy(update={"seed": luck}), data, arm, {}, here)
            shutil.rmtree(here / "checkpoints")
            trained[name].append(Predictions.load(here, "test"))
    first, second = (np.stack([test.predicted for test in found]) for found in trained.values())
    return compare(second, first, trained["none"][0].labels)


if __name__ == "__main__":
    ended(main)
