"""Report any finished runs together: python -m fer_experiments.report DIR... [--out DIR]."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fer_experiments.exit_status import run_command_line
from fer_experiments.progress import show_activity


def main(arguments: list[str] | None = None) -> int:
    """Return the exit status: 0, or 2 if there is nothing to report; 0 as well while a sweep has no finished job."""
    options = parse_arguments(arguments)
    with show_activity("starting"):  # matplotlib and pandas are imported here, so that --help answers at once
        from fer_experiments.report.collect import NothingFinished, collect
        from fer_experiments.report.write_report import printable, write_report
        from fer_experiments.runs.sweep_progress import find_sweeps

    out = options.out or options.folders[0]
    try:
        sweeps = find_sweeps(options.folders)
        for sweep in sweeps:
            print(printable("\n".join(sweep.lines())), flush=True)
        record = collect(options.folders)
        missing = [f"{training}: {reason}" for training, reason in record.unfinished_trainings()]
        if not record.results:
            raise NothingFinished("\n  ".join(["no training of a classifier has finished", *missing, *record.problems]))
        out.mkdir(parents=True, exist_ok=True)
        trainings = [record.folder_of(result, out) for result in record.results]
        write_report(record, find_data_folder(options.folders, trainings).resolve(), out, sweeps)
    except (ValueError, OSError) as error:
        print(printable(f"report: {error}"), file=sys.stderr)
        is_early = isinstance(error, NothingFinished) and sweeps and not any(sweep.done for sweep in sweeps)
        return 0 if is_early else 2
    for title, lines in (("trainings without a result", missing), ("problems", record.problems)):
        if lines:
            print(printable("\n  ".join([f"{title}:", *lines])))
    count = len(record.results)
    print(printable(f"report of {count} finished {'training' if count == 1 else 'trainings'} in {out}"))
    return 0


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line. Exits with status 2 if several folders have no --out."""
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.report", description=__doc__)
    parser.add_argument(
        "folders",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="a study, a sweep, a run, or a folder with several of them",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the report is written (default: the one DIR)")
    options = parser.parse_args(arguments)
    if options.out is None and len(options.folders) > 1:
        parser.error("--out: is needed with several folders; name the folder for report.html and its tables")
    return options


def find_data_folder(folders: Sequence[Path], trainings: Sequence[Path]) -> Path:
    """Return the first folder with data.json: one of `folders`, or a training's study, itself, or its seed's folder.

    Return the first of `folders` if there is none.
    """
    candidates = [place for folder in trainings for place in (folder.parents[1], folder, folder.parent)]
    return next((place for place in (*folders, *candidates) if (place / "data.json").is_file()), folders[0])


if __name__ == "__main__":
    run_command_line(main)
