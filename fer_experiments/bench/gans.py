"""Compare GANs by the audits of their images: python -m fer_experiments.bench.gans multirun/dcgan-faces/SWEEP/* .

Runs of train=dcgan that differ in their seed alone are one row for each class. The numbers are means over the seeds,
with the smallest and the greatest in brackets. Compare rows with the same kind of real images alone: those that the
split leaves unused, or, where there are too few, those of validation.
"""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from omegaconf import DictConfig, OmegaConf

from fer_experiments.audit.record import AuditRecord, FolderAuditRecord
from fer_experiments.exit_status import run_command_line
from fer_experiments.run_naming import config_hash

COLUMNS = {
    "kid": "KID",
    "fld": "FLD",
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
    print(format_table(read_audits(parser.parse_args(arguments).runs)))


def read_audits(runs: Sequence[Path]) -> dict[tuple[str, str], list[AuditRecord]]:
    """Return {(setting, class): the audits of its seeds}. The setting is the run's name without seed and hash.

    If runs with the same such name differ in more than the seed, a hash of their configuration is added. Failed audits
    are left out.
    """
    names = {run: SEED.sub("", HASH.sub("", run.resolve().name)).strip(",") or run.resolve().name for run in runs}
    hashes = {run: _hash_without_seed(run) for run in runs}
    audits: dict[tuple[str, str], list[AuditRecord]] = {}
    for run, name in names.items():
        is_single = len({hashes[namesake] for namesake in runs if names[namesake] == name}) == 1
        setting = name if is_single else f"{name} ({hashes[run]})"
        for file in sorted(run.glob("**/audit.json")):
            for audit in _load_class_audits(file.parent):
                if not audit.problem:
                    audits.setdefault((setting, audit.label), []).append(audit)
    return audits


def _load_class_audits(folder: Path) -> list[AuditRecord]:
    """Return the audit in a run's folder, or those of all classes if python -m fer_experiments.audit wrote it."""
    content = json.loads((folder / AuditRecord.file_name).read_bytes())
    if "classes" in content:
        return list(FolderAuditRecord.load(folder).classes.values())
    return [AuditRecord.load(folder)]


def _hash_without_seed(run: Path) -> str:
    """Return a hash of the run's configuration; "" if there is none, as beside an audit of any folder."""
    file = run / "config.yaml"
    config = OmegaConf.load(file) if file.is_file() else None
    if not isinstance(config, DictConfig):
        return ""
    config.pop("seed", None)
    return config_hash(config)


def format_table(audits: dict[tuple[str, str], list[AuditRecord]]) -> str:
    """Return a row for each setting and class, as Markdown. Measures that no audit has are left out.

    "real images" are those that generated ones were compared with.
    """
    headlines = [audit.headline for of_seeds in audits.values() for audit in of_seeds]
    names = [name for name in COLUMNS if any(headline.get(name) is not None for headline in headlines)]
    rows = ["| setting | class | seeds | real images | " + " | ".join(COLUMNS[name] for name in names) + " |",
            "| :-- | :-- | --: | --: |" + " --: |" * len(names)]  # fmt: skip
    for (setting, label), of_seeds in audits.items():
        values = [[audit.headline.get(name) for audit in of_seeds] for name in names]
        cells = [_format_cell([value for value in column if value is not None]) for column in values]
        real = _describe_held_out(of_seeds)
        rows.append(f"| {setting} | {label} | {len(of_seeds)} | {real} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def _describe_held_out(audits: Sequence[AuditRecord]) -> str:
    """Return "500 unused", "493 to 500 unused", or "82 validation; 500 unused" if the audits differ in the kind."""
    counts: dict[str, list[int]] = {}
    for audit in audits:
        if audit.held_out is not None:
            counts.setdefault(audit.held_out.source, []).append(audit.held_out.images)
    ranges = {source: sorted({min(images), max(images)}) for source, images in counts.items()}
    return "; ".join(f"{' to '.join(f'{end:,}' for end in ends)} {source}" for source, ends in sorted(ranges.items()))


def _format_cell(values: list[float]) -> str:
    if not values:
        return ""
    digits = 4 if max(map(abs, values)) < 0.1 else 2
    average = f"{mean(values):.{digits}f}"
    return average if len(values) == 1 else f"{average} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    run_command_line(main)
