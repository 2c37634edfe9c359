"""The result of one check of generated images. Reports read it without importing torch."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["pass", "warn", "fail"]
SEVERITY: tuple[Status, ...] = ("pass", "warn", "fail")


@dataclass(frozen=True)
class Finding:
    """The result of a check. is_measured: whether a number decided it; if there is none, the status is "warn"."""

    status: Status
    message: str
    is_measured: bool = True


def worst_finding(findings: dict[str, Finding]) -> Finding:
    """Return the worst of {class: finding}, with the message of each class whose finding is as bad."""
    status = max((finding.status for finding in findings.values()), key=SEVERITY.index)
    worst = {label: finding for label, finding in findings.items() if finding.status == status}
    message = " ".join(f"{label}: {finding.message}" for label, finding in worst.items())
    return Finding(status, message, any(finding.is_measured for finding in worst.values()))
