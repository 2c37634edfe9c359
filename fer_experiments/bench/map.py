"""Map where generated images help: python -m fer_experiments.bench.map multirun/study-faces/SWEEP ... --out DIR.

Every finished study in or below the folders is of one data set, one size of its smallest class and one augmentation.
DIR gets map.csv, map.md, map.svg and map.png. The verdicts are those of each study's verdict.json.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from fer_experiments.atomic_write import atomic_write
from fer_experiments.bench.map_figure import draw_map
from fer_experiments.bench.map_points import MapPoint, read_points
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import METRIC_TITLES
from fer_experiments.exit_status import run_command_line
from fer_experiments.report.figures.style import render_svg
from fer_experiments.report.write_report import format_markdown, printable, write_csv

DOTS_PER_INCH = 150


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, or 2 if there is nothing to map."""
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench.map", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="a study, a sweep, or a folder of several")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the map is written")
    options = parser.parse_args(arguments)
    try:
        points, question, problems = read_points(options.folders)
        for problem in problems:
            print(printable(f"warning: {problem}"), file=sys.stderr)
        write_map(points, question, problems, options.out)
    except (ValueError, OSError) as error:
        print(printable(f"map: {error}"), file=sys.stderr)
        return 2
    studies = len({point.study for point in points})
    print(printable(f"{count_verdicts(points)}\nThe map of {studies} studies: {options.out / 'map.md'}"))
    return 0


def write_map(points: Sequence[MapPoint], question: Question, problems: Sequence[str], out: Path) -> None:
    """Write map.csv, map.svg, map.png and map.md. Raises StorageError.

    Args:
        points: of all studies.
        question: of all studies.
        problems: sentences on what could not be used.
        out: the folder, which is created if it does not exist.
    """
    out.mkdir(parents=True, exist_ok=True)
    write_csv(pd.DataFrame(points), out / "map.csv")
    figure = draw_map(points, question)
    with atomic_write(out / "map.svg") as temporary:
        temporary.write_bytes(render_svg(figure))
    with atomic_write(out / "map.png") as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH)
    with atomic_write(out / "map.md") as temporary:
        temporary.write_text(format_map(points, question, problems), encoding="utf-8", errors="surrogateescape")


def format_map(points: Sequence[MapPoint], question: Question, problems: Sequence[str]) -> str:
    """Return the verdicts counted in a sentence, the figure, how to read it, the table, and what was left out."""
    sections = [
        "# Where generated images help",
        count_verdicts(points),
        "![Differences from the best simple arm over the images of the smallest class](map.png)",
        f"Differences are in points of {METRIC_TITLES[question.metric]} on test, from the best simple arm, with "
        f"the intervals of the verdicts. The ceiling has as many more real images; it is a difference of means.",
        format_table(points),
    ]
    if problems:
        sections.append("\n".join(["Warnings:\n", *(f"- {problem}" for problem in problems)]))
    return "\n\n".join(sections) + "\n"


def count_verdicts(points: Sequence[MapPoint]) -> str:
    """Return "Generated images helped in 0 of 24 settings, hurt in 9, …"."""
    verdicts = Counter(point.verdict for point in points if point.kind == "generated")
    return (
        f"Generated images helped in {verdicts['helps']} of {verdicts.total()} settings, hurt in {verdicts['hurts']}, "
        f"were equivalent to the best simple arm in {verdicts['equivalent']}, and are undecided in "
        f"{verdicts['undecided']}."
    )


def format_table(points: Sequence[MapPoint]) -> str:
    """Return a row for each point as Markdown, with the difference and its interval in one column."""
    rows = [
        {
            "data set": point.data_set,
            "smallest class": point.smallest_class,
            "training images": point.training_images,
            "augmentation": point.augmentation,
            "arm": point.arm,
            "seeds": point.seeds,
            "test images": point.test_images,
            "best simple arm": point.best_simple_arm,
            "difference": _format_difference(point),
            "verdict": point.verdict or point.kind,
        }
        for point in points
    ]
    return format_markdown(pd.DataFrame(rows))


def _format_difference(point: MapPoint) -> str:
    if point.low is None or point.high is None:
        return f"{point.difference:+.1f}"
    return f"{point.difference:+.1f} ({point.low:+.1f} to {point.high:+.1f})"


if __name__ == "__main__":
    run_command_line(main)
