"""What a section of the page is, and what it is made from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fer_experiments.report.checks.check import Check
from fer_experiments.report.data_facts import DataFacts
from fer_experiments.report.findings import Findings
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.runs.sweep_progress import SweepProgress

Values = dict[str, Any]
"""{name in the template: value}"""


@dataclass(frozen=True)
class ReportContext:
    """All that a section can show.

    Attributes:
        record: the study, with its results.
        findings: what its predictions say.
        facts: data.json; facts_problem: why it can't be read, or "".
        checks: whether the answer can be believed.
        folder: where the study's files are read.
        out: where the page is written.
        sweeps: the progress of the sweeps that the trainings belong to.
    """

    record: StudyRecord
    findings: Findings
    facts: DataFacts
    facts_problem: str
    checks: Sequence[Check]
    folder: Path
    out: Path
    sweeps: Sequence[SweepProgress]

    @property
    def name(self) -> str:
        """The study's name: the last two folders of its path."""
        return "/".join(self.out.resolve().parts[-2:])


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        anchor: its id in the page.
        title: its name in the navigation.
        template: its file in templates/, which has the record, the question and the values.
        build_values: returns the template's values, or None if there is nothing to show.
    """

    anchor: str
    title: str
    template: str
    build_values: Callable[[ReportContext], Values | None]
