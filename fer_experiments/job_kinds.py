"""What the name of a run's folder and a report need to know of a job, without importing it (and with it torch)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Trains(Enum):
    """The classifiers that a job trains."""

    NOTHING = "nothing"
    ONE_ARM = "one arm"
    EVERY_ARM = "every arm of train.arms with every seed"


@dataclass(frozen=True)
class JobKind:
    """A job of conf/train/, by the name of its file.

    named_after: the groups of conf/ whose chosen files stand in the name of the run's folder.
    """

    name: str
    named_after: tuple[str, ...] = ()
    trains: Trains = Trains.NOTHING

    def name_parts(self, choices: Mapping[str, str]) -> list[str]:
        """["oversample+traditional"] for a classifier. choices: {group: chosen file}. augment=none is left out."""
        chosen = [str(choices.get(group)) for group in self.named_after]
        if chosen and self.named_after[-1] == "augment" and chosen[-1] == "none":
            chosen.pop()
        return ["+".join(chosen)] if chosen else []


JOB_KINDS = {
    kind.name: kind
    for kind in (
        JobKind("study", trains=Trains.EVERY_ARM),
        JobKind("cnn", ("balance", "augment"), Trains.ONE_ARM),
        JobKind("joint", ("joint",), Trains.ONE_ARM),
        JobKind("dcgan", ("gan",)),
        JobKind("diffusion", ("gan",)),
        JobKind("evaluate"),
    )
}
"""A new job is registered here; one that is not has a folder named by its seed alone, and no expected classifiers."""


def job_kind(choices: Mapping[str, str]) -> JobKind:
    """The kind of the job that was chosen. choices: {group: chosen file}."""
    name = str(choices.get("train"))
    return JOB_KINDS.get(name, JobKind(name))
