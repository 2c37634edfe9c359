"""Write images of a trained generator: python -m fer_experiments.generate multirun/RUN --count 80 --out DIR."""

import argparse
import sys
from pathlib import Path

from fer_experiments.errors import ConfigError
from fer_experiments.exit_status import run_command_line
from fer_experiments.progress import show_activity


def main(arguments: list[str] | None = None) -> int:
    """Return the exit status: 0, or 2 if the checkpoint or the folder can't be used."""
    options = _build_parser().parse_args(arguments)
    with show_activity("starting"):  # torch is imported only now, so that --help answers at once
        from fer_experiments.gan.trained import TrainedGenerator
        from fer_experiments.trainer.callbacks.checkpoints import find_checkpoint

    try:
        trained = TrainedGenerator.load(find_checkpoint(options.checkpoint, generator=True), options.module)
        if options.label is not None and options.label not in trained.classes:
            raise ConfigError(
                f"--class {options.label}: {options.checkpoint} makes images of {', '.join(trained.classes)}; give "
                "one of these"
            )
        labels = trained.classes if options.label is None else [options.label]
        trained.write(options.out, dict.fromkeys(labels, range(options.seed, options.seed + options.count)))
    except (ConfigError, OSError) as error:
        print(f"generate: {error}", file=sys.stderr)
        return 2
    print(f"{options.count} images of {', '.join(labels)} in {options.out}, split {trained.split_hash}")
    return 0


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.generate", description=__doc__)
    parser.add_argument(
        "checkpoint", type=Path, help="the folder of a run with train=dcgan, diffusion or joint, or a checkpoint"
    )
    parser.add_argument("--class", dest="label", help="class to generate (default: each that the GAN was trained on)")
    parser.add_argument("--count", type=_parse_positive, default=80, help="how many images of each class (default 80)")
    parser.add_argument("--out", type=Path, required=True, help="folder for CLASS/*.png and manifest.csv")
    parser.add_argument(
        "--module", metavar="CLASS", help="the class of a generator of your own, as in gan.module._target_"
    )
    parser.add_argument(
        "--seed",
        type=_parse_natural,
        default=0,
        help="latent seed of the first image (default 0); each next image has the next seed",
    )
    return parser


def _parse_positive(text: str) -> int:
    value = _parse_natural(text)
    if value == 0:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _parse_natural(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return int(text)


if __name__ == "__main__":
    run_command_line(main)
