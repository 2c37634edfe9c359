"""Write the images that any generator may see: python -m fer_experiments.split data=folder data.root=PATH --out DIR."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.errors import HydraException

from fer_experiments.completed_overrides import complete_overrides
from fer_experiments.errors import ConfigError
from fer_experiments.exit_status import run_command_line
from fer_experiments.hydra_errors import describe_hydra_error
from fer_experiments.override_keys import explain_wrong_overrides
from fer_experiments.override_paths import quote_paths
from fer_experiments.progress import show_activity

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

EPILOG = (
    "DIR/images/CLASS/*.png are the training images, without any of the validation and test parts; DIR/split_hash.txt "
    "says of which split. Give the keys of the study in which the generated images will be an arm."
)


def main(arguments: list[str] | None = None) -> int:
    """Return the exit status: 0, or 2 if the settings, the data or the folder can't be used."""
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.split", description=__doc__, epilog=EPILOG)
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="of the study, such as data=folder")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder that is new or empty")
    options = parser.parse_intermixed_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    overrides = list(complete_overrides(list(quote_paths(options.settings))))
    if wrong := list(explain_wrong_overrides(overrides)):
        print("\n".join(f"split: {line}" for line in wrong), file=sys.stderr)
        return 2
    with show_activity("starting"):  # torch is imported only now, so that --help answers at once
        from fer_experiments.train.compose_config import compose_nodes
        from fer_experiments.train.config import Config, save_config
    try:
        composed = compose_nodes(*overrides)
        print(_export(Config.read(composed), options.out, shlex.join(options.settings)))
        save_config(composed, options.out)  # by which the audit finds the data
    except HydraException as error:
        print(f"split: {describe_hydra_error(error)}", file=sys.stderr)
        return 2
    except (ConfigError, OSError) as error:
        print(f"split: {error}", file=sys.stderr)
        return 2
    return 0


def _export(config: Config, out: Path, settings: str) -> str:
    """Write the images; return what to say of them."""
    from fer_experiments.data.cache import open_cache
    from fer_experiments.data.export_split import IMAGES_FOLDER, export_training_images
    from fer_experiments.data.split import make_split

    cache = open_cache(config.data)
    splits = {seed: make_split(cache.index, config.data, seed) for seed in config.train.list_seeds(config)}
    counts = export_training_images(config.data, cache, splits, out, settings)
    listed = ", ".join(f"{number} {name}" for name, number in counts.items())
    lines = [f"{out / IMAGES_FOLDER}: {listed}; none is for validation or test"]
    if len({split.hash for split in splits.values()}) > 1:
        largest = {name: max(split.counts("train")[name] for split in splits.values()) for name in counts}
        lines.append(
            f"these are training images of all {len(splits)} seeds; one seed has "
            f"{', '.join(f'{number} {name}' for name, number in largest.items())}; with data.split_seed=0, here and in "
            "the study, all seeds have one split"
        )
    return "\n".join([*lines, f"what to do next is in {out / 'README.txt'}"])


if __name__ == "__main__":
    run_command_line(main)
