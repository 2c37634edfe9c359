"""The files and the console table that say what a study found."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fer_experiments.atomic_write import atomic_write
from fer_experiments.enumeration import MAX_NAMED
from fer_experiments.progress import show_activity
from fer_experiments.report.findings import Findings, compute_findings
from fer_experiments.report.growth import describe_growth
from fer_experiments.report.hard_images import HARD_IMAGES_FILE, build_hard_images_table
from fer_experiments.report.page import write_page
from fer_experiments.report.page_templates import REPORT_FILE
from fer_experiments.report.sections.answer import describe_answer, describe_other_arms
from fer_experiments.report.sections.plain_answer import describe_plainly
from fer_experiments.report.sections.sweep_curves import CURVES_FILE, build_curves_table
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.report.tables import (
    build_comparisons_table,
    build_console_table,
    build_results_table,
    build_summary_table,
    sort_generated_first,
)
from fer_experiments.runs.sweep_progress import SweepProgress

CONSOLE_WIDTH = 120  # characters, unless a terminal has its own


def write_report(
    record: StudyRecord, folder: Path, out: Path | None = None, sweeps: Sequence[SweepProgress] = ()
) -> None:
    """Write comparison.csv, comparison.md, verdict.json and report.html; print the table and the answer.

    If a number was swept, write curves.csv as well; if no classifier gets some test images right, hard_images.csv.

    Args:
        record: the study.
        folder: where the study's files are read.
        out: where the report is written; None: in `folder`.
        sweeps: the progress of the sweeps that the trainings belong to.
    """
    out = out or folder
    with show_activity("writing the report"):
        summary = build_summary_table(record, MAX_NAMED)
        findings = compute_findings(record, folder)
        sentences = (
            describe_plainly(record, findings),
            describe_answer(record, findings),
            describe_other_arms(findings),
            describe_growth(record, findings.arms),
        )
        answer = " ".join(filter(None, sentences))
        findings.save(out, record.question)
        _write_tables(record, findings, folder, out)
        _write_markdown(answer, summary, findings, out / "comparison.md")
        write_page(record, findings, folder, out, sweeps)
    _print_table(build_console_table(record, findings), _describe_table(record), answer, out / REPORT_FILE)


def _write_tables(record: StudyRecord, findings: Findings, folder: Path, out: Path) -> None:
    curves = build_curves_table(record, findings)
    write_csv(build_results_table(record), out / "comparison.csv")
    if findings.hard_images:
        training = record.folder_of(record.results[0], folder)
        write_csv(build_hard_images_table(findings.hard_images, training), out / HARD_IMAGES_FILE)
    else:  # a further seed may get the last of them right
        (out / HARD_IMAGES_FILE).unlink(missing_ok=True)
    if len(curves):
        write_csv(curves, out / CURVES_FILE)


def write_csv(table: pd.DataFrame, file: Path) -> None:
    """Write a table without its index. Raises StorageError."""
    with atomic_write(file) as temporary:
        table.to_csv(temporary, index=False, errors="surrogateescape")


def _write_markdown(answer: str, summary: pd.DataFrame, findings: Findings, file: Path) -> None:
    """Write the answer, both tables, and a line for each verdict."""
    parts = [answer, format_markdown(summary), format_markdown(build_comparisons_table(findings))]
    parts += [
        f"- {verdict.arm}: {verdict.verdict}. {verdict.explanation}" for verdict in sort_generated_first(findings.arms)
    ]
    markdown = "\n\n".join(part for part in parts if part) + "\n"
    with atomic_write(file) as temporary:
        temporary.write_text(markdown, encoding="utf-8", errors="surrogateescape")


def format_markdown(table: pd.DataFrame) -> str:
    """Return a table without its index as Markdown; "" if it has no rows."""
    escaped = table.rename(columns=_escape_bars).map(lambda value: _escape_bars(str(value)))
    return escaped.to_markdown(index=False, disable_numparse=True) if len(escaped) else ""


def _escape_bars(text: str) -> str:
    return text.replace("|", r"\|")


def _describe_table(record: StudyRecord) -> str:
    """Return "On test, 2 of 3 seeds; differences in points, with their 95% intervals"."""
    trained, planned = len({result.seed for result in record.results}), len(record.seeds)
    of_planned = "" if trained == planned else f" of {planned}"
    seeds = "seed" if planned == 1 else "seeds"
    level = f"{100 * record.question.level:g}%"
    return f"On test, {trained}{of_planned} {seeds}; differences in points, with their {level} intervals"


def _print_table(table: pd.DataFrame, title: str, answer: str, page: Path) -> None:
    console_table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in table.columns:
        is_short = column in ("difference", "verdict")
        console_table.add_column(escape(printable(str(column))), overflow="fold", no_wrap=is_short)
    for row in table.itertuples(index=False):
        console_table.add_row(*(escape(printable(str(value))) for value in row))
    console = Console(width=None if Console().is_terminal else CONSOLE_WIDTH)
    with console.capture() as capture:
        console.print(console_table)
        console.print(escape(printable(answer)))
        console.print(escape(printable(f"The whole report: {page}")), soft_wrap=True)
    print(capture.get(), end="", flush=True)  # a console of its own would write into the bar of the seeds' progress


def printable(text: str) -> str:
    """Return a text with backslash codes for invalid characters, as of a folder's name in another encoding."""
    return text.encode("utf-8", "backslashreplace").decode()
