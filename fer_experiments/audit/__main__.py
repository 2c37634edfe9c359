"""Audit any folder of generated images: python -m fer_experiments.audit DIR --split multirun/RUN/split.csv."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.errors import HydraException

from fer_experiments.errors import ConfigError
from fer_experiments.exit_status import run_command_line
from fer_experiments.hydra_errors import describe_hydra_error
from fer_experiments.override_keys import explain_wrong_overrides
from fer_experiments.override_paths import quote_paths
from fer_experiments.override_syntax import override_key
from fer_experiments.progress import show_activity

if TYPE_CHECKING:
    from fer_experiments.audit.record import FolderAuditRecord

EPILOG = (
    "Exit status: 0 if all checks pass or warn, 1 if one fails, 2 if the folder can't be audited. "
    "DIR holds CLASS/*.png or *.jpg, of any size, from any generator."
)


def main(arguments: list[str] | None = None) -> int:
    """Audit a folder as the arguments say, print two tables, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.audit", description=__doc__, epilog=EPILOG)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder with CLASS/*.png")
    parser.add_argument(
        "--split", type=Path, required=True, help="split.csv of the run on whose images the generator was trained"
    )
    parser.add_argument("--out", type=Path, help="folder for audit.json and nearest.png (default: audit beside DIR)")
    parser.add_argument(
        "encoder",
        nargs="*",
        metavar="encoder=...",
        help="the network in whose features images are compared, if not that of the run: encoder=timm "
        "encoder.weights=FILE, as in conf/encoder",
    )
    parser.add_argument("--no-usefulness", action="store_true", help="train no classifier on the generated images")
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run the code that the run's config.yaml names, whoever wrote it",
    )
    options = parser.parse_intermixed_args(arguments)
    if wrong := list(explain_wrong_overrides(options.encoder)):
        print("\n".join(f"audit: {line}" for line in wrong), file=sys.stderr)
        return 2
    if foreign := [text for text in options.encoder if override_key(text).partition(".")[0] != "encoder"]:
        parser.error(f"{', '.join(foreign)}: only encoder and its keys can be given; the rest is as in the run")

    with show_activity("starting"):  # torch is imported here, so that --help answers at once
        from fer_experiments.audit.audit_folder import audit_folder
        from fer_experiments.train.compose_config import compose_config
        from fer_experiments.train.read_run import read_run
        from fer_experiments.trainer.expected_warnings import ignore_expected_warnings

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    ignore_expected_warnings()
    out = options.out or options.folder.resolve().parent / "audit"
    try:
        config, data = read_run(options.split, options.trust)
        settings = config.audit_settings
        if options.encoder:
            settings = replace(settings, encoder=compose_config(*quote_paths(options.encoder)).encoder)
        audit = audit_folder(
            settings,
            data,
            options.folder,
            options.split,
            out,
            measure_usefulness=not options.no_usefulness,
        )
    except HydraException as error:
        print(f"audit: {describe_hydra_error(error)}", file=sys.stderr)
        return 2
    except (ConfigError, OSError) as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    print(format_audit(audit))
    print(f"images are compared in the features of {audit.encoder}")
    print(f"audit.json and nearest.png in {out}")
    return int(any(finding.status == "fail" for finding in audit.checks.values()))


def format_audit(audit: FolderAuditRecord) -> str:
    """Return two tables: the numbers of each class and of all classes together, and the checks."""
    from tabulate import tabulate

    from fer_experiments.audit.audit_folder import NUMBERS

    rows = [
        [label, of_class.generated, of_class.held_out, *(of_class.headline.get(name) for name in NUMBERS)]
        for label, of_class in audit.classes.items()
    ]
    rows.append(["all", audit.generated, None, *(audit.headline.get(name) for name in NUMBERS)])
    header = ["class", "generated", "real images", *NUMBERS]
    numbers = tabulate(rows, headers=header, floatfmt=".3g", missingval="-")
    checks = [[name, finding.status, finding.message] for name, finding in audit.checks.items()]
    return f"{numbers}\n\n{tabulate(checks, ['check', 'status', 'why'], maxcolwidths=[None, None, 90])}"


if __name__ == "__main__":
    run_command_line(main)
