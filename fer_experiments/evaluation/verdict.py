"""Which arms help, against which other arm: the rules of a comparison of several arms at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

from pydantic import Field

from fer_experiments.evaluation.arms import ArmName
from fer_experiments.evaluation.statistics import Array, Comparison, Metric, Verdict, compare, holm
from fer_experiments.spec import Spec


class Question(Spec):
    """What a study asks. baseline: the arm of doing nothing; margin: differences within +-margin are none.

    The defaults are for runs that were no study's; a study has its own in conf/train/study.yaml.
    """

    baseline: str = "none"
    metric: Metric = "balanced_accuracy"
    margin: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.005
    level: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95


@dataclass(frozen=True)
class Arm:
    """What one arm said of the test images, which are the same for all arms and seeds.

    splits: {seed: its split's hash}; predictions (S, N) class indices, a row for each of these seeds; validation: the
    mean over the seeds of the metric on validation, by which arms are chosen; generated: it used generated images.
    """

    name: str
    splits: Mapping[int, str]
    predictions: Array
    validation: float
    generated: bool

    @property
    def parsed(self) -> ArmName:
        return ArmName.parse(self.name)

    @property
    def plain(self) -> str:
        """Without what sets runs of one name apart."""
        return str(replace(self.parsed, settings=""))

    @property
    def settings(self) -> set[str]:
        """What sets it apart."""
        return {f"{key}={value}" for key, value in self.parsed.values.items()}

    @property
    def augmentation(self) -> str:
        return self.parsed.augment or "none"


@dataclass(frozen=True)
class Paired:
    """`arm` minus `against` on the seeds that both finished; p-values by Holm over the comparisons of its question."""

    arm: str
    against: str
    comparison: Comparison
    interval_p_value: float
    sign_flip_p_value: float


@dataclass(frozen=True)
class ArmVerdict:
    """against: the comparison arm that the verdict names, or None where there is none; pairs: that comparison first."""

    arm: str
    generated: bool
    verdict: Verdict
    against: str | None
    explanation: str
    pairs: list[Paired]


def judge(arms: Sequence[Arm], labels: Array, question: Question) -> list[ArmVerdict]:
    """The verdict of every arm but the baseline, in their order. labels (N,) of the test images.

    A simple arm is compared with the baseline. An arm with generated images is compared with the best simple arm of
    the same augmentation, chosen on validation, and helps only if it beats that one and the baseline. helps and hurts
    need the interval to leave out 0 also after Holm's correction for all comparisons made. No arm is compared with one
    that was given a setting which it lacks.

    In a sweep each setting of the data (data.imbalance=10) is a question of its own and is corrected for alone: a
    reader has data of one ratio, and what was asked at others is no second try at his. Every other setting is one more
    try (a dose, a length of the GAN's training) and is corrected for.
    """
    judged = [arm for arm in arms if arm.plain != question.baseline]
    rivals = {arm.name: _rivals(arm, arms, question) for arm in judged}
    pairs: dict[tuple[str, str], Paired] = {}
    for data in dict.fromkeys(arm.parsed.data for arm in judged):
        asked = [(arm, rival) for arm in judged if arm.parsed.data == data for rival in rivals[arm.name]]
        pairs |= _compare_all(asked, labels, question)
    return [_verdict(arm, rivals[arm.name], pairs, question) for arm in judged]


def _rivals(arm: Arm, arms: Sequence[Arm], question: Question) -> list[Arm]:
    """The arms to compare with, the one that the verdict names first, the baseline last."""
    simple = [other for other in arms if not other.generated and other is not arm and other.settings <= arm.settings]
    likest = sorted(simple, key=lambda other: -len(other.settings))
    baseline = next((other for other in likest if other.plain == question.baseline), None)
    alike = [other for other in simple if other.augmentation == arm.augmentation]
    best = max(alike, key=lambda other: other.validation, default=None) if arm.generated else None
    return list({other.name: other for other in (best, baseline) if other is not None}.values())


def _compare_all(pairs: Iterable[tuple[Arm, Arm]], labels: Array, question: Question) -> dict[tuple[str, str], Paired]:
    """{(arm, against): comparison} of the pairs with a seed in common."""
    rows = {(arm.name, against.name): _common(arm, against) for arm, against in pairs}
    matched = {names: found for names, found in rows.items() if len(found[0])}
    asked = partial(compare, labels=labels, metric=question.metric, margin=question.margin)
    compared = {names: asked(*both, level=question.level) for names, both in matched.items()}
    by_interval = holm([comparison.interval_p_value for comparison in compared.values()])
    by_signs = holm([comparison.p_value for comparison in compared.values()])
    found = {}
    for (names, comparison), p_value, sign_flip in zip(compared.items(), by_interval, by_signs, strict=True):
        if comparison.verdict in ("helps", "hurts") and p_value > 1 - question.level:
            # The interval that Bonferroni's correction widens holds 0, and says what would settle it.
            wider = asked(*matched[names], level=1 - (1 - question.level) / len(compared))
            comparison = replace(
                comparison,
                verdict="undecided",
                explanation=f"{wider.explanation} (Alone it would say {comparison.verdict}, but {len(compared)} "
                f"comparisons were made: Holm's p = {p_value:.2g}.)",
            )
        found[names] = Paired(*names, comparison, p_value, sign_flip)
    return found


def _common(a: Arm, b: Arm) -> tuple[Array, Array]:
    """Predictions (S, N) of both on the seeds that both have with the same split."""
    places = {item: row for row, item in enumerate(b.splits.items())}
    rows = [(row, places[item]) for row, item in enumerate(a.splits.items()) if item in places]
    return a.predictions[[row for row, _ in rows]], b.predictions[[row for _, row in rows]]


def _verdict(arm: Arm, rivals: list[Arm], pairs: dict[tuple[str, str], Paired], question: Question) -> ArmVerdict:
    mine = [pairs[arm.name, rival.name] for rival in rivals if (arm.name, rival.name) in pairs]

    def said(verdict: Verdict, explanation: str) -> ArmVerdict:
        return ArmVerdict(arm.name, arm.generated, verdict, rivals[0].name if rivals else None, explanation, mine)

    if not rivals or (arm.generated and rivals[0].augmentation != arm.augmentation):
        wanted = _doing_nothing(question.baseline, arm.augmentation) if arm.generated else question.baseline
        return said("undecided", f"There is no arm to compare {arm.name} with; {wanted} in train.arms would be one.")
    if not mine or mine[0].against != rivals[0].name:
        return said("undecided", f"{arm.name} and {rivals[0].name} have no finished seed of the same split in common.")
    first, last = mine[0].comparison, mine[-1].comparison
    if not arm.generated or first.verdict != "helps":
        return said(first.verdict, first.explanation)
    if rivals[-1].plain != question.baseline:
        return said(
            "undecided", f"{first.explanation} But there is no arm {question.baseline} to compare with as well."
        )
    if mine[-1].against != rivals[-1].name:
        return said("undecided", f"{first.explanation} But it has no finished seed in common with {rivals[-1].name}.")
    if last.verdict != "helps":
        return said("undecided", f"Better than {rivals[0].name}, but not than {rivals[-1].name}: {last.explanation}")
    return said("helps", first.explanation)


def _doing_nothing(baseline: str, augmentation: str) -> str:
    return str(replace(ArmName.parse(baseline), augment=augmentation))


@dataclass(frozen=True)
class LeakEffect:
    """What an arm gains over doing nothing, honestly and where GAN and choice of epoch saw the test images."""

    arm: str
    against: str
    clean: Comparison
    leaky: Comparison

    @property
    def inflation(self) -> float:
        """By how much the leak raises the gain, in shares of 1."""
        return self.leaky.difference - self.clean.difference


def leak_effects(arms: Sequence[Arm], labels: Array, question: Question) -> list[LeakEffect]:
    """For every arm with generated images that stands beside its own leak, with a baseline that does as well."""
    by_name = {arm.name: arm for arm in arms}
    asked = partial(compare, labels=labels, metric=question.metric, margin=question.margin, level=question.level)
    found = []
    for arm in (arm for arm in arms if arm.generated and not arm.parsed.leak):
        for against in (_doing_nothing(question.baseline, arm.augmentation), question.baseline):
            pair = arm.name, against
            names = [pair, tuple(str(ArmName.parse(name).leaking()) for name in pair)]
            if by_name.keys() >= {name for pair in names for name in pair}:
                clean, leaky = (_common(by_name[a], by_name[b]) for a, b in names)
                if len(clean[0]) and len(leaky[0]):
                    found.append(LeakEffect(arm.name, against, asked(*clean), asked(*leaky)))
                break
    return found
