"""Write a trained network for use elsewhere: python -m fer_experiments.export multirun/RUN --format onnx."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fer_experiments.atomic_write import atomic_write
from fer_experiments.errors import ConfigError
from fer_experiments.exit_status import run_command_line
from fer_experiments.progress import show_activity

if TYPE_CHECKING:
    from fer_experiments.export.formats import Exported, Run

SUFFIXES = {"onnx": ".onnx", "safetensors": ".safetensors", "torch_export": ".pt2"}
EPILOG = (
    "A classifier becomes images (N, C, S, S) in [0, 1] -> probabilities (N, K); a GAN becomes z (N, latent_dim), with "
    "labels (N,) if it is conditional -> images in [0, 1]. The file is read again and its output compared."
)


def main(arguments: list[str] | None = None) -> int:
    """Return the exit status: 0, or 2 if the checkpoint can't be exported."""
    options = _build_parser().parse_args(arguments)
    with show_activity("starting"):  # torch is imported only now, so that --help answers at once
        from fer_experiments.export.formats import WRITERS, load_checkpoint
        from fer_experiments.trainer.callbacks.checkpoints import find_checkpoint

    try:
        checkpoint = find_checkpoint(options.checkpoint, options.generator)
        out: Path = options.out or checkpoint.with_suffix(SUFFIXES[options.format])
        with show_activity(f"writing and comparing {out}"):
            exported = load_checkpoint(checkpoint, options.network, options.generator)
            difference = _write(exported, WRITERS[options.format], out)
    except (ConfigError, OSError) as error:
        print(f"export: {error}", file=sys.stderr)
        return 2
    print(f"{out}: {exported.describe()}; its output differs by {difference:.1e} at most")
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.export", description=__doc__, epilog=EPILOG)
    parser.add_argument(
        "checkpoint",
        type=Path,
        help="the folder of a run with train=cnn, dcgan or joint, or of an arm of a study; or a checkpoint",
    )
    parser.add_argument("--format", choices=sorted(SUFFIXES), required=True)
    parser.add_argument("--out", type=Path, help="file to write (default: the checkpoint's name with another suffix)")
    parser.add_argument(
        "--network", metavar="CLASS", help="the class of your own network, as in classifier.network._target_"
    )
    parser.add_argument("--generator", action="store_true", help="of train=joint: the generator, not the classifier")
    return parser


def _write(exported: Exported, writer: Callable[[Exported, Path], Run], out: Path) -> float:
    """Write the file and return the largest difference of its output.

    Raises ConfigError if the difference is too large; the file is not written then.
    """
    with atomic_write(out) as temporary:
        return exported.compare(writer(exported, temporary))


if __name__ == "__main__":
    run_command_line(main)
