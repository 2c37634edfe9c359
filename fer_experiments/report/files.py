"""The files and the console table that say what a study found."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fer_experiments.progress import busy
from fer_experiments.report import swept
from fer_experiments.report.answer import headline, in_a_word
from fer_experiments.report.page import write_page
from fer_experiments.report.study import StudyRecord, comparison, summary
from fer_experiments.report.sweeps import Progress
from fer_experiments.report.verdicts import comparisons, find_verdicts, generated_first
from fer_experiments.whole import whole


def _escape_bars(text: str) -> str:
    return text.replace("|", r"\|")


def _markdown(table: pd.DataFrame) -> str:
    plain = table.rename(columns=_escape_bars).map(lambda value: _escape_bars(str(value)))
    return plain.to_markdown(index=False, disable_numparse=True) if len(plain) else ""


def printable(text: str) -> str:
    """Text with what is no valid character (a folder name in another encoding) as backslash codes."""
    return text.encode("utf-8", "backslashreplace").decode()


def write_report(record: StudyRecord, folder: Path, out: Path | None = None, sweeps: Sequence[Progress] = ()) -> None:
    """comparison.csv, comparison.md, verdict.json and report.html; the table and the answer on the console.

    Where a number was swept curves.csv as well.

    folder: where the study's files are read, and the report is written unless to `out`. sweeps: how far those are that
    the trainings belong to.
    """
    with busy("writing the report"):
        table, answer = _write(record, folder, out or folder, sweeps)
    shown = Table(title=f"Test results, {len(record.seeds)} seed(s)")
    for column in table.columns:
        shown.add_column(escape(printable(str(column))), overflow="fold")
    for row in table.itertuples(index=False):
        shown.add_row(*(escape(printable(str(value))) for value in row))
    console = Console(width=None if Console().is_terminal else 160)
    console.print(shown)
    console.print(escape(printable(answer)))


def _write(record: StudyRecord, folder: Path, out: Path, sweeps: Sequence[Progress]) -> tuple[pd.DataFrame, str]:
    """The files; the table and the answer."""
    with whole(out / "comparison.csv") as temporary:
        comparison(record).to_csv(temporary, index=False, errors="surrogateescape")
    table = summary(record)
    findings = find_verdicts(record, folder)
    findings.save(out, record.question)
    curves = swept.table(record, findings)
    if len(curves):
        with whole(out / swept.FILE) as temporary:
            curves.to_csv(temporary, index=False, errors="surrogateescape")
    answer = f"{headline(record, findings)} {in_a_word(findings)}".strip()
    parts = [answer, _markdown(table), _markdown(comparisons(findings))]
    parts += [f"- {said.arm}: {said.verdict}. {said.explanation}" for said in generated_first(findings.arms)]
    markdown = "\n\n".join(part for part in parts if part) + "\n"
    with whole(out / "comparison.md") as temporary:
        temporary.write_text(markdown, encoding="utf-8", errors="surrogateescape")
    write_page(record, findings, folder, out, sweeps)
    return table, answer
