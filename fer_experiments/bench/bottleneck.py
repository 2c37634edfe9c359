"""Does the way through the GAN's pixels show? python -m fer_experiments.bench.bottleneck data=fer2013 data.root=PATH

Real images of the smallest class against other real ones of it that went through its pixels, told apart by the shortcut
probe; beside it, against other real ones as they are, which nothing can tell apart.
"""

import argparse
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from fer_experiments.bench.cases import configured
from fer_experiments.classifier.probe import NotMeasured, shortcut_probe
from fer_experiments.data.module import ImageData, Images
from fer_experiments.ending import ended
from fer_experiments.train.config import Config
from fer_experiments.train.dcgan import target_class


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench.bottleneck", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("settings", nargs="*", help="settings of the run, such as data=fer2013 data.root=PATH")
    options = parser.parse_args(arguments)
    config = configured(*options.settings)
    print("| seed | as they are | through the GAN's pixels |\n| --: | --: | --: |")
    for seed in range(options.seeds):
        found = [probe(config, seed, through) for through in (None, config.gan.image_size)]
        print("| " + " | ".join([str(seed), *found]) + " |", flush=True)


def probe(config: Config, seed: int, through: int | None) -> str:
    """The AUROC between one half of the class as it is and the other half `through` so many pixels."""
    data = ImageData.prepare(config.data, seed)
    label = target_class(config, data)
    rows = data.split.rows("train")[data.split.labels("train") == label]
    first, second = np.array_split(np.random.default_rng(seed).permutation(rows), 2)
    found = shortcut_probe(_pixels(config, data, first, None), _pixels(config, data, second, through), seed)
    if isinstance(found, NotMeasured):
        return found.reason
    return f"{found.auroc:.2f} ({found.low:.2f} to {found.high:.2f})"


def _pixels(config: Config, data: ImageData, rows: np.ndarray, through: int | None) -> Tensor:
    """(N, C, S, S) uint8 as the classifier sees them."""
    labels = np.zeros(len(rows), dtype=np.int64)
    images = Images(data.cache.images, rows, labels, config.classifier.image_size, through)
    return images[list(range(len(images)))][0]


if __name__ == "__main__":
    ended(main)
