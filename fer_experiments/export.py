"""Write a trained network for use elsewhere: python -m fer_experiments.export CHECKPOINT --format onnx."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fer_experiments.ending import ended
from fer_experiments.errors import ConfigError
from fer_experiments.progress import busy
from fer_experiments.whole import whole

if TYPE_CHECKING:
    from fer_experiments.exported import Exported, Run

SUFFIXES = {"onnx": ".onnx", "safetensors": ".safetensors", "torch_export": ".pt2"}
EPILOG = (
    "A classifier becomes images (N, C, S, S) in [0, 1] -> probabilities (N, K); a GAN becomes z (N, latent_dim), with "
    "labels (N,) if it is conditional -> images in [0, 1]. What is written is read again and its output compared."
)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 where the checkpoint can't be exported."""
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.export", description=__doc__, epilog=EPILOG)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint of train=cnn, dcgan or joint, or an arm of a study")
    parser.add_argument("--format", choices=sorted(SUFFIXES), required=True)
    parser.add_argument("--out", type=Path, help="file to write (default: beside the checkpoint, by its name)")
    parser.add_argument("--network", metavar="CLASS", help="of your own network, as in classifier.network._target_")
    parser.add_argument("--generator", action="store_true", help="of train=joint: the generator, not the classifier")
    options = parser.parse_args(arguments)
    out: Path = options.out or options.checkpoint.with_suffix(SUFFIXES[options.format])

    with busy("starting"):
        from fer_experiments.exported import WRITERS, read_checkpoint  # torch only now, so that --help answers at once

    try:
        with busy(f"writing and comparing {out}"):
            exported = read_checkpoint(options.checkpoint, options.network, options.generator)
            difference = _write(exported, WRITERS[options.format], out)
    except (ConfigError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    print(f"{out}: {exported.says}; its output differs by {difference:.1e} at most")
    return 0


def _write(exported: Exported, writer: Callable[[Exported, Path], Run], out: Path) -> float:
    """Whole or not at all; returns the largest difference of what is read back. Raises ConfigError if large."""
    with whole(out) as temporary:
        return exported.difference(writer(exported, temporary))


if __name__ == "__main__":
    ended(main)
