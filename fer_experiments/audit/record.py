"""audit.json: the measures and the findings of generated images. Reports read it without importing torch."""

from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from fer_experiments.audit.finding import Finding
from fer_experiments.json_record import JSONRecord

HeldOutSource = Literal["unused", "validation"]
Headline = dict[str, float | None]
"""{name: the most important number of a measure}; None if it was not measured."""


class HeldOutCount(NamedTuple):
    """How many real images the generated ones were compared with, and where these are from."""

    images: int
    source: HeldOutSource

    def __str__(self) -> str:
        return f"{self.images:,} {self.source}"


class AuditRecord(JSONRecord):
    """The audit of one class's generated images. audit/class_audit.py gives `measures` their type.

    Attributes:
        label: the class.
        generated: how many images there are to audit.
        synthetic: their folder; manifest: the hash of its manifest, None if it has none.
        encoder: the network in whose features images were compared; "" in the records of earlier versions.
        problem: why the audit failed, "" if it did not.
        measures, headline, checks: all measures, the most important of their numbers, and {check: finding}.
        seconds: how long the audit took.
    """

    file_name: ClassVar[str] = "audit.json"
    description: ClassVar[str] = "an audit"

    label: str
    generated: int
    synthetic: str
    manifest: str | None = None
    encoder: str = ""
    problem: str = ""
    measures: Any = None
    headline: Headline = Field(default_factory=dict)
    checks: dict[str, Finding] = Field(default_factory=dict)
    seconds: float | None = None

    @property
    def held_out(self) -> HeldOutCount | None:
        """The real images that the generated ones were compared with; None if there are no measures.

        In the records of earlier versions, which don't say so, they are of validation.
        """
        if self.measures is None:
            return None
        measures = self.model_dump()["measures"]
        return HeldOutCount(measures["held_out"], measures.get("held_out_source", "validation"))

    def describe_checks(self) -> str:
        """Return "shortcut: fail, labels: warn, memorisation: not measured; all else pass", or that all checks pass."""
        outcomes = {name: each.status if each.is_measured else "not measured" for name, each in self.checks.items()}
        bad = [f"{name}: {outcome}" for name, outcome in outcomes.items() if outcome != "pass"]
        return f"{', '.join(bad)}; all else pass" if bad else "all checks pass"


class FolderAuditRecord(JSONRecord):
    """The audit of a folder of generated images.

    Attributes:
        synthetic: the folder.
        split, split_hash: the split.csv that it was audited against.
        generated: how many images there are.
        encoder: the network in whose features images were compared; "" in the records of earlier versions.
        headline: means over the classes, weighted by their generated images, and the usefulness.
        learned_from_generated, learned_from_real: metrics on the held-out images of all classes of a classifier that
            was trained on the generated images alone, and of the reference classifier; {"not_measured": reason} if that
            was not requested.
        checks: {check: the worst finding of the classes}.
        classes: {class: its audit}.
    """

    file_name: ClassVar[str] = "audit.json"
    description: ClassVar[str] = "an audit"

    synthetic: str
    split: str
    split_hash: str
    generated: int
    encoder: str = ""
    headline: Headline
    learned_from_generated: dict[str, Any]
    learned_from_real: dict[str, Any]
    checks: dict[str, Finding]
    classes: dict[str, AuditRecord]
