"""Does a study find a difference between equals? The same arm under two names, in many studies on drawn faces.

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

from fer_experiments.balance import NoBalancing
from fer_experiments.data.prepared import PreparedData
from fer_experiments.evaluation.comparison import Comparison, compare
from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.exit_status import run_command_line
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.arms.train_classifier import train_classifier
from fer_experiments.train.compose_config import compose_config
from fer_experiments.train.config import Config

# As the default study, but with small images and few epochs, because the verdict is what is tested.
SETTINGS = ("trainer=cpu", "trainer.progress=false", "classifier.image_size=48", "classifier.epochs=6")
SEED_OFFSET = 10**6  # is added to the seed of the second name's trainings; data and split stay the same


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench.same_arm", description=__doc__)
    parser.add_argument("--studies", type=int, default=20, help="how many studies (default: 20)")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds each has (default: 5)")
    parser.add_argument("--out", type=Path, required=True, help="folder for same_arm.json")
    parser.add_argument("settings", nargs="*", help="further settings, such as classifier.epochs=10")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    options.out.mkdir(parents=True, exist_ok=True)
    comparisons: list[Comparison] = []
    for number in range(options.studies):
        config = compose_config(*SETTINGS, *options.settings, f"data.faces_seed={number}")
        comparison = run_study(config, range(options.seeds), options.out / f"study_{number}")
        comparisons.append(comparison)
        (options.out / "same_arm.json").write_text(json.dumps([asdict(row) for row in comparisons], indent=1))
        print(f"study {number}: {comparison.verdict}, {comparison.explanation}", flush=True)
    counts = Counter(comparison.verdict for comparison in comparisons)
    total = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    print(f"{len(comparisons)} studies of {options.seeds} seeds: {total}")


def run_study(config: Config, seeds: Sequence[int], folder: Path) -> Comparison:
    """Train the arm `none` under both names with every seed, and compare the second name with the first."""
    predictions: dict[str, list[Predictions]] = {"none": [], "again": []}
    for seed in seeds:
        data = PreparedData.prepare(config.data, seed)
        for name, training_seed in (("none", seed), ("again", seed + SEED_OFFSET)):
            arm_folder = folder / f"seed_{seed}" / name
            arm = Arm(name, NoBalancing(), config.augment)
            train_classifier(config.model_copy(update={"seed": training_seed}), data, arm, {}, arm_folder)
            shutil.rmtree(arm_folder / "checkpoints")
            predictions[name].append(Predictions.load(arm_folder, "test"))
    first, second = (np.stack([test.predicted for test in of_name]) for of_name in predictions.values())
    return compare(second, first, predictions["none"][0].labels)


if __name__ == "__main__":
    run_command_line(main)
