"""Compare GANs by the audits of their images: python -m fer_experiments.bench.gans multirun/dcgan-faces/SWEEP/* .

Runs of train=dcgan that differ in their seed alone are one row for each class; the numbers are means over the seeds, in
brackets the least and the greatest.
"""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fer_experiments.ending import ended
from fer_experiments.identity import identity

COLUMNS = {
    "kid": "KID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "memorised_fraction": "memorised",
    "ct": "C_T",
    "authenticity": "authenticity",
    "label_agreement": "labels",
    "usefulness": "usefulness",
}
SEED = re.compile(r",?\bseed=\d+")
HASH = re.compile(r"-?[0-9a-f]{8}$")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench.gans", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished runs with train=dcgan")
    print(table(read_audits(parser.parse_args(arguments).runs)))


def read_audits(runs: Sequence[Path]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """{(setting, class): the audits of its seeds}; the setting is the run's name without seed and hash.

    Runs of one such name whose configurations differ in more than the seed keep a hash of the rest.
    """
    names = {run: SEED.sub("", HASH.sub("", run.resolve().name)).strip(",") or run.resolve().name for run in runs}
    rest = {run: _hash_without_seed(run) for run in runs}
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for run, name in names.items():
        alone = len({rest[other] for other in runs if names[other] == name}) == 1
        setting = name if alone else f"{name} ({rest[run]})"
        for file in sorted(run.glob("**/audit.json")):
            audit = json.loads(file.read_bytes())
            for one in audit.get("classes", {"": audit}).values():  # those of fer_experiments.audit have all in one
                if "problem" not in one:
                    found.setdefault((setting, one["class"]), []).append(one)
    return found


def _hash_without_seed(run: Path) -> str:
    """Of the configuration, "" where there is none, as beside an audit of any folder."""
    file = run / "config.yaml"
    config = OmegaConf.load(file) if file.is_file() else None
    if not isinstance(config, DictConfig):
        return ""
    config.pop("seed", None)
    return identity(config)


def table(audits: dict[tuple[str, str], list[dict[str, Any]]]) -> str:
    """Markdown, a row for each setting and class; what no audit has measured is left out."""
    names = [name for name in COLUMNS if any(one.get(name) is not None for each in audits.values() for one in each)]
    rows = ["| setting | class | seeds | " + " | ".join(COLUMNS[name] for name in names) + " |",
            "| :-- | :-- | --: |" + " --: |" * len(names)]  # fmt: skip
    for (setting, label), each in audits.items():
        cells = [_cell([one[name] for one in each if one.get(name) is not None]) for name in names]
        rows.append(f"| {setting} | {label} | {len(each)} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    digits = 4 if max(map(abs, values)) < 0.1 else 2
    shown = f"{mean(values):.{digits}f}"
    return shown if len(values) == 1 else f"{shown} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    ended(main)
