"""Measure any folder of generated images: python -m fer_experiments.audit DIR --split multirun/RUN/split.csv."""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from fer_experiments.ending import ended
from fer_experiments.errors import ConfigError
from fer_experiments.progress import busy

EPILOG = (
    "Exit status: 0 where all checks pass or warn, 1 where one fails, 2 where the folder can't be audited. "
    "DIR holds CLASS/*.png or *.jpg, of any size, made by whatever means."
)


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.audit", description=__doc__, epilog=EPILOG)
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder with CLASS/*.png")
    parser.add_argument("--split", type=Path, required=True, help="split.csv of the run whose images it was made from")
    parser.add_argument("--out", type=Path, help="folder for audit.json and nearest.png (default: audit beside DIR)")
    parser.add_argument("--no-usefulness", action="store_true", help="train no classifier on the generated images")
    parser.add_argument("--trust", action="store_true", help="run the classes of your own that the run's config names")
    options = parser.parse_args(arguments)

    with busy("starting"):
        from fer_experiments.train.audit_folder import audit_folder  # torch only now, so that --help answers at once

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    out = options.out or options.folder.resolve().parent / "audit"
    try:
        facts = audit_folder(options.folder, options.split, out, not options.no_usefulness, options.trust)
    except (ConfigError, OSError) as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    print(table(facts))
    print(f"audit.json and nearest.png in {out}")
    return int(any(check["status"] == "fail" for check in facts["checks"].values()))


def table(facts: dict[str, Any]) -> str:
    """The numbers of each class and of all, then the checks."""
    from tabulate import tabulate

    from fer_experiments.train.audit_folder import NUMBERS

    names = ["generated", "held_out", *NUMBERS]
    found = [*facts["classes"].items(), ("all", facts)]
    rows = [[label, *(one.get(name) for name in names)] for label, one in found]
    numbers = tabulate(zip(["class", *names], *rows, strict=True), headers="firstrow", floatfmt=".3g", missingval="-")
    checks = [[name, check["status"], check["said"]] for name, check in facts["checks"].items()]
    return f"{numbers}\n\n{tabulate(checks, ['check', 'status', 'why'], maxcolwidths=[None, None, 90])}"


if __name__ == "__main__":
    ended(main)
