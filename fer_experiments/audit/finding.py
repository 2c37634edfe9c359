"""The result of one check of generated images. Reports read it without importing torch."""

from dataclasses import dataclass
from typing import Literal

from fer_experiments.enumeration import MAX_NAMED

Status = Literal["pass", "warn", "fail"]
SEVERITY: tuple[Status, ...] = ("pass", "warn", "fail")


@dataclass(frozen=True)
class Finding:
    """The result of a check. is_measured: whether a number decided it; if there is none, the status is "warn"."""

    status: Status
    message: str
    is_measured: bool = True


def worst_finding(findings: dict[str, Finding]) -> Finding:
    """Return the worst of {class: finding}, with the messages of the first MAX_NAMED classes with one as bad."""
    status = max((finding.status for finding in findings.values()), key=SEVERITY.index)
    worst = {label: finding for label, finding in findings.items() if finding.status == status}
    messages = [f"{label}: {finding.message}" for label, finding in worst.items()]
    message = " ".join(messages[:MAX_NAMED])
    if len(messages) > MAX_NAMED:
        message += f" And {len(messages) - MAX_NAMED} more classes."
    return Finding(status, message, any(finding.is_measured for finding in worst.values()))
