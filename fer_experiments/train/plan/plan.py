"""The plan of a job as text: its images, its trainings, and the time that they take."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from fer_experiments.runs.status import format_duration

MAX_ROWS = 20  # classes in the table
MIN_STEPS = 15  # of a training whose steps are worth timing
FEW_TRAINING, FEW_TEST = 20, 10  # images of a class, below which the plan says so
PARTS = {"train": "training", "valid": "validation", "test": "test"}


class NotTimed(Exception):
    """How long a step takes is not known, and none may be timed."""


@dataclass(frozen=True)
class PlannedTraining:
    """A training, or several that are alike, with each seed.

    Attributes:
        name: what is trained, such as "GAN of angry".
        image_size: the side of its images in pixels.
        batch_size: the images of a step.
        steps: of one training.
        seconds: that all of them take with one seed, with what is done before and after their steps; None: not known.
        fixed_seconds: those of them that don't depend on the steps.
        is_gan: whether it is a GAN's.
        generated: how many images it makes, for all classes together.
        caution: what the user should know of its configuration, a sentence, or "".
        measure: returns the seconds, after timing a few steps if need be; measure(False) raises NotTimed instead.
    """

    name: str
    image_size: int
    batch_size: int
    steps: int
    seconds: float | None
    fixed_seconds: float = 0.0
    is_gan: bool = False
    generated: int = 0
    caution: str = ""
    measure: Callable[[bool], float | None] | None = field(default=None, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"measure": None}  # other ranks get the plan, and time no steps

    def __str__(self) -> str:
        images = f", to make {self.generated:,} images" if self.generated else ""
        return f"{self.name}, {self.steps:,} steps of {self.batch_size} at {self.image_size} pixels{images}"

    def scaled(self, share: float) -> "PlannedTraining":
        """Return this training with the seconds of a share of its steps."""
        if self.seconds is None:
            return self
        return replace(self, seconds=self.fixed_seconds + share * (self.seconds - self.fixed_seconds))

    def with_seconds_of(self, longer: "PlannedTraining") -> "PlannedTraining":
        """Return this training with its seconds, by those of a longer one that is otherwise the same."""
        return replace(self, seconds=longer.scaled(self.steps / longer.steps).seconds, measure=None)


@dataclass(frozen=True)
class Plan:
    """What a job will train.

    Attributes:
        counts: {part: {class: images}} of the first seed's split.
        groups: {part: {class: groups}} of it; {} if the data has no groups.
        group_description: of these, a line; "" without groups.
        trainings: those of one seed.
        looks: the numbers of seeds at which the job may end; (1,) for a job of one seed.
        speed_up: how many times faster several seeds are that share the processes than one after the other.
        budget: the seconds that the job may take; None: any time.
        length: the share of their configured lengths that the trainings have (train.length).
        cautions: what the user should know of the arms, a sentence each.
        shortened: why the trainings are shorter than they were before they were timed; "": they are not.
        is_timed: whether the seconds of the trainings are known, as far as they can be.
        advice: what would make it shorter, a sentence each.
        count_threads: returns how many threads each training has; None: all that this process has.
        complete: returns the plan with what depends on the seconds of its trainings, when these are known.
    """

    counts: Mapping[str, Mapping[str, int]]
    trainings: list[PlannedTraining]
    looks: tuple[int, ...] = (1,)
    speed_up: float = 1.0
    budget: float | None = None
    length: float = 1.0
    cautions: tuple[str, ...] = ()
    shortened: str = ""
    is_timed: bool = False
    advice: tuple[str, ...] = ()
    groups: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    group_description: str = ""
    count_threads: Callable[[], int] | None = field(default=None, compare=False)
    complete: "Callable[[Plan], Plan]" = field(default=lambda plan: plan, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"count_threads": None, "complete": None}  # other ranks get the plan, and time no steps

    def timed(self, can_measure: bool = True) -> "Plan":
        """Return the plan with the seconds of its trainings.

        can_measure: whether steps may be timed whose time is not known, which imports Lightning; else raise NotTimed.
        """
        with _use_threads(self.count_threads):
            trainings = [
                replace(each, seconds=each.measure(can_measure)) if each.measure else each for each in self.trainings
            ]
        return self.complete(replace(self, trainings=trainings, is_timed=True))

    @property
    def seconds_of_seed(self) -> float | None:
        """How long one seed takes by itself; None: not known. Trainings of too few steps to be timed count nothing."""
        seconds = [training.seconds for training in self.trainings if training.seconds is not None]
        is_missing = any(training.seconds is None and training.steps >= MIN_STEPS for training in self.trainings)
        return None if is_missing or not seconds else sum(seconds)

    def seconds_for(self, seeds: int) -> float | None:
        """How long so many seeds take; None: not known."""
        return None if self.seconds_of_seed is None else self.seconds_of_seed * max(1.0, seeds / self.speed_up)

    @property
    def exceeds_budget(self) -> bool:
        """Whether the seeds up to the first look take longer than the budget, as far as their time is known."""
        seconds = self.seconds_for(self.looks[0])
        return seconds is not None and self.budget is not None and seconds > self.budget

    def warnings(self) -> list[str]:
        """Return the cautions of the plan and of its trainings, each once."""
        return list(dict.fromkeys(filter(None, (*self.cautions, *(each.caution for each in self.trainings)))))

    def outline(self) -> Iterator[str]:
        """Give the lines on images and trainings, for which no time need be known."""
        yield from self._count_lines()
        if self.group_description:
            yield self.group_description
        yield from self._training_lines()

    def estimates(self) -> Iterator[str]:
        """Give the lines on the time that all takes, and on what would shorten it."""
        if self.shortened:
            yield self.shortened
            yield from self._training_lines()
        if self.seconds_of_seed is not None:
            yield f"estimated time: {self._describe_time()}"
        for sentence in self.advice:
            yield f"faster: {sentence}"

    def _training_lines(self) -> Iterator[str]:
        heads = ("each seed trains: ", "                  ") if self.looks[-1] > 1 else ("to train: ", "          ")
        for number, training in enumerate(self.trainings):
            yield f"{heads[min(number, 1)]}{training}"

    def _count_lines(self) -> Iterator[str]:
        """Give a table of the images of each class and part, with the groups in brackets; small classes are marked.

        Of more than MAX_ROWS classes it has the largest and the smallest ones.
        """
        train = self.counts["train"]
        classes = list(train)
        omitted = len(classes) - MAX_ROWS
        if omitted > 0:
            classes = sorted(classes, key=lambda name: -train[name])
            classes = [*classes[: MAX_ROWS // 2], *classes[-MAX_ROWS // 2 :]]
        first = max(map(len, (*classes, "class")))
        legend = "  (in brackets: groups)" if self.groups else ""
        yield f"{'class':{first}}  " + "  ".join(f"{title:>10}" for title in PARTS.values()) + legend
        for place, name in enumerate(classes):
            if omitted > 0 and place == MAX_ROWS // 2:
                yield f"... {omitted} classes between"
            numbers = {part: self.counts[part].get(name, 0) for part in PARTS}
            few = numbers["train"] < FEW_TRAINING or numbers["test"] < FEW_TEST
            mark = "  few: see the warnings of the report" if few else ""
            groups = {part: f" ({self.groups[part].get(name, 0):,})" if self.groups else "" for part in PARTS}
            cells = (f"{number:,}{groups[part]}" for part, number in numbers.items())
            yield f"{name:{first}}  " + "  ".join(f"{cell:>10}" for cell in cells) + mark
        if omitted > 0:
            sums = [sum(self.counts[part].values()) for part in PARTS]
            title = f"all {len(train)}"
            yield f"{title:{first}}  " + "  ".join(f"{number:>10,}" for number in sums)

    def _describe_time(self) -> str:
        """Return "about 30 s a seed; 1 min 30 s for 3 seeds, 10 min for 20"."""
        assert self.seconds_of_seed is not None
        single = f"about {format_rough_duration(self.seconds_of_seed)}"
        if self.looks[-1] == 1:
            return single
        numbers = dict.fromkeys((self.looks[0], self.looks[-1]))
        many = ", ".join(
            f"{format_rough_duration(seconds)} for {number} seeds"
            for number in numbers
            if (seconds := self.seconds_for(number)) is not None
        )
        limit = (
            "" if self.budget is None else f"; no seed but the first may end after {format_rough_duration(self.budget)}"
        )
        return f"{single} a seed; {many}{limit}"


@contextmanager
def _use_threads(count_threads: Callable[[], int] | None) -> Iterator[None]:
    """Let torch use as many threads as the trainings will have, while their steps are timed."""
    if count_threads is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count_threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def format_rough_duration(seconds: float) -> str:
    """Return the duration with two digits that mean something: "40 s", "12 min", "1 h 40 min"."""
    if seconds < 90:
        return format_duration(max(1, round(seconds, -1)))
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(round(minutes, -1), 60)
    return f"{hours} h {minutes} min"
