"""Report any finished runs together: python -m fer_experiments.report DIR... [--out DIR]."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fer_experiments.ending import ended
from fer_experiments.progress import busy


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 where there is nothing to report, unless a sweep has still to finish a job."""
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.report", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="study, sweep, run, or what holds some")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the report goes (default: the one DIR)")
    options = parser.parse_args(arguments)
    if options.out is None and len(options.folders) > 1:
        parser.error("--out: is needed with several folders; name the folder for report.html and its tables")

    with busy("starting"):  # matplotlib and pandas only now, so that --help answers at once
        from fer_experiments.report.checks import unfinished
        from fer_experiments.report.collect import NothingFinished, collect
        from fer_experiments.report.files import printable, write_report
        from fer_experiments.report.sweeps import sweeps_in

    out = options.out or options.folders[0]
    try:
        sweeps = sweeps_in(options.folders)
        for sweep in sweeps:
            print(printable("\n".join(sweep.lines())), flush=True)
        record = collect(options.folders)
        missing = [f"{where}: {why}" for where, why in unfinished(record)]
        if not record.results:
            raise NothingFinished("\n  ".join(["no training of a classifier has finished", *missing, *record.problems]))
        out.mkdir(parents=True, exist_ok=True)
        places = [record.folder_of(result, out) for result in record.results]
        write_report(record, source_folder(options.folders, places).resolve(), out, sweeps)
    except (ValueError, OSError) as error:
        print(printable(f"report: {error}"), file=sys.stderr)
        early = isinstance(error, NothingFinished) and sweeps and not any(sweep.done for sweep in sweeps)
        return 0 if early else 2
    for title, lines in (("without a result", missing), ("not used as they are", record.problems)):
        if lines:
            print(printable("\n  ".join([f"{title}:", *lines])))
    print(printable(f"report of {len(record.results)} finished trainings in {out}"))
    return 0


def source_folder(folders: Sequence[Path], trainings: Sequence[Path]) -> Path:
    """The first folder with data.json: one that was named, a study, or a training's own."""
    above = [place for folder in trainings for place in (folder.parents[1], folder, folder.parent)]
    return next((place for place in (*folders, *above) if (place / "data.json").is_file()), folders[0])


if __name__ == "__main__":
    ended(main)
