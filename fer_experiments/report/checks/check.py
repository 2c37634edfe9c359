"""What a check is given, and what it returns."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from fer_experiments.audit.record import AuditRecord
from fer_experiments.report.checks.audit_files import load_audits
from fer_experiments.report.data_facts import DataFacts
from fer_experiments.report.findings import Findings
from fer_experiments.report.study_record import StudyRecord

Status = Literal["pass", "warn", "fail", "unknown"]


class Check(NamedTuple):
    """The outcome of one check. source: the files that it used."""

    name: str
    status: Status
    message: str
    source: str


@dataclass(frozen=True)
class StudyFiles:
    """What the checks look at: a study with at least one result, and what lies in its folder."""

    record: StudyRecord
    findings: Findings
    facts: DataFacts
    folder: Path

    @cached_property
    def audits(self) -> list[AuditRecord]:
        return load_audits(self.record, self.folder)
