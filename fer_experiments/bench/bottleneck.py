"""Can images that were resized to the GAN's resolution be told from others?

python -m fer_experiments.bench.bottleneck data=fer2013 data.root=PATH

The shortcut probe compares one half of the real images of the smallest class with the second half: once as it is, so
that nothing can tell them apart, and once after it was resized.
"""

import argparse
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from fer_experiments.audit.shortcut_probe import shortcut_probe
from fer_experiments.data.dataset import ImageDataset
from fer_experiments.data.prepared import PreparedData
from fer_experiments.exit_status import run_command_line
from fer_experiments.train.compose_config import compose_config
from fer_experiments.train.config import Config
from fer_experiments.train.gan.selection import choose_target_class


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench.bottleneck", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds (default: 3)")
    parser.add_argument("settings", nargs="*", help="settings of the run, such as data=fer2013 data.root=PATH")
    options = parser.parse_args(arguments)
    config = compose_config(*options.settings)
    print("| seed | as they are | through the GAN's pixels |\n| --: | --: | --: |")
    for seed in range(options.seeds):
        cells = [probe(config, seed, bottleneck) for bottleneck in (None, config.gan.image_size)]
        print("| " + " | ".join([str(seed), *cells]) + " |", flush=True)


def probe(config: Config, seed: int, bottleneck: int | None) -> str:
    """Return the AUROC between both halves of the class, of which the second is resized to `bottleneck` pixels first.

    If it can't be measured, the reason is returned.
    """
    data = PreparedData.prepare(config.data, seed)
    label = choose_target_class(config, data)
    rows = data.split.rows("train")[data.split.labels("train") == label]
    first, second = np.array_split(np.random.default_rng(seed).permutation(rows), 2)
    as_they_are, resized = _read_images(config, data, first, None), _read_images(config, data, second, bottleneck)
    try:
        result = shortcut_probe(as_they_are, resized, seed)
    except ValueError as error:
        return str(error)
    return f"{result.auroc:.2f} ({result.low:.2f} to {result.high:.2f})"


def _read_images(config: Config, data: PreparedData, rows: np.ndarray, bottleneck: int | None) -> Tensor:
    """Return the images (N, C, S, S) uint8 at `rows` of the cache, as the classifier sees them."""
    labels = np.zeros(len(rows), dtype=np.int64)
    images = ImageDataset(data.cache.images, rows, labels, config.classifier.image_size, bottleneck)
    return images[list(range(len(images)))][0]


if __name__ == "__main__":
    run_command_line(main)
