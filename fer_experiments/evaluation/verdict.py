"""Which arms help, and against which other arm: the rules for comparing several arms at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.comparison import Comparison, Verdict
from fer_experiments.evaluation.p_values import holm
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import Array


@dataclass(frozen=True)
class ArmPredictions:
    """The predictions of one arm for the test images, which are the same for all arms and seeds.

    Attributes:
        splits: {seed: hash of its split}.
        predictions: (S, N) class indices, a row for each of these seeds.
        validation: the mean over the seeds of the metric on validation, by which arms are chosen.
        generated: whether the arm used generated images.
    """

    name: str
    splits: Mapping[int, str]
    predictions: Array
    validation: float
    generated: bool

    @property
    def parsed_name(self) -> ArmName:
        return ArmName.parse(self.name)

    @property
    def name_without_settings(self) -> str:
        return str(replace(self.parsed_name, settings=""))

    @property
    def settings(self) -> set[str]:
        """The settings that set the arm apart from others of its name: {"gan.epochs=9"}."""
        return {f"{key}={value}" for key, value in self.parsed_name.values.items()}

    @property
    def augmentation(self) -> str:
        return self.parsed_name.augment or "none"

    def with_common_seeds(self, rival: "ArmPredictions") -> tuple[Array, Array]:
        """Return the predictions (S, N) of both arms on the seeds that both have with the same split."""
        rival_rows = {seed_and_split: row for row, seed_and_split in enumerate(rival.splits.items())}
        rows = [(row, rival_rows[key]) for row, key in enumerate(self.splits.items()) if key in rival_rows]
        return self.predictions[[row for row, _ in rows]], rival.predictions[[row for _, row in rows]]


@dataclass(frozen=True)
class PairedComparison:
    """`arm` minus `against` on the seeds that both finished.

    The p-values are corrected by Holm for all comparisons that the verdicts of one setting of the data need.
    """

    arm: str
    against: str
    comparison: Comparison
    interval_p_value: float
    sign_flip_p_value: float


@dataclass(frozen=True)
class ArmVerdict:
    """The verdict on one arm.

    Attributes:
        generated: whether the arm used generated images.
        against: the comparison arm that the verdict names; None if there is none.
        explanation: the verdict's reason in a sentence or two.
        pairs: all comparisons of the arm, that with `against` first.
    """

    arm: str
    generated: bool
    verdict: Verdict
    against: str | None
    explanation: str
    pairs: list[PairedComparison]


def decide_verdicts(arms: Sequence[ArmPredictions], labels: Array, question: Question) -> list[ArmVerdict]:
    """Return the verdict on every arm except the baseline, in their order. labels: (N,) of the test images.

    A simple arm is compared with the baseline. An arm with generated images is compared with the best simple arm of
    the same augmentation, chosen on validation, and helps only if it beats both that one and the baseline. "helps" and
    "hurts" need an interval that excludes 0 also after Holm's correction for all comparisons made. No arm is compared
    with one that has a setting which it lacks.

    In a sweep each setting of the data (data.imbalance=10) is a question of its own and is corrected for alone: a
    reader has data of one ratio, so that the comparisons at other ratios are no further tries at his question. Every
    other setting (a dose, a length of the GAN's training) is one more try and is corrected for.
    """
    candidates = [arm for arm in arms if arm.name_without_settings != question.baseline]
    rivals = {arm.name: _choose_rivals(arm, arms, question) for arm in candidates}
    comparisons: dict[tuple[str, str], PairedComparison] = {}
    for data in dict.fromkeys(arm.parsed_name.data for arm in candidates):
        with_these_data = [arm for arm in candidates if arm.parsed_name.data == data]
        pairs = [(arm, rival) for arm in with_these_data for rival in rivals[arm.name]]
        comparisons |= _compare_all(pairs, labels, question)
    return [_decide_arm(arm, rivals[arm.name], comparisons, question) for arm in candidates]


def _choose_rivals(arm: ArmPredictions, arms: Sequence[ArmPredictions], question: Question) -> list[ArmPredictions]:
    """Return the arms to compare with: the one that the verdict names first, the baseline last."""
    simple = [rival for rival in arms if not rival.generated and rival is not arm and rival.settings <= arm.settings]
    most_alike_first = sorted(simple, key=lambda rival: -len(rival.settings))
    baseline = next((rival for rival in most_alike_first if rival.name_without_settings == question.baseline), None)
    best = None
    if arm.generated:
        same_augmentation = [rival for rival in simple if rival.augmentation == arm.augmentation]
        best = max(same_augmentation, key=lambda rival: rival.validation, default=None)
    return list({rival.name: rival for rival in (best, baseline) if rival is not None}.values())


def _compare_all(
    pairs: Iterable[tuple[ArmPredictions, ArmPredictions]], labels: Array, question: Question
) -> dict[tuple[str, str], PairedComparison]:
    """Return {(arm, against): comparison} of the pairs with a seed in common, corrected for each other."""
    predictions = {(arm.name, rival.name): arm.with_common_seeds(rival) for arm, rival in pairs}
    predictions = {names: both for names, both in predictions.items() if len(both[0])}
    comparisons = {names: question.compare(*both, labels) for names, both in predictions.items()}
    interval_p_values = holm([comparison.interval_p_value for comparison in comparisons.values()])
    sign_flip_p_values = holm([comparison.p_value for comparison in comparisons.values()])
    # Bonferroni's correction widens the interval. If Holm's p-value is too large, this interval holds 0.
    level = 1 - (1 - question.level) / max(len(comparisons), 1)
    strict_question = question.model_copy(update={"level": level})
    corrected = {}
    for (names, comparison), p_value, sign_flip in zip(
        comparisons.items(), interval_p_values, sign_flip_p_values, strict=True
    ):
        if comparison.verdict in ("helps", "hurts") and p_value > 1 - question.level:
            widened = strict_question.compare(*predictions[names], labels)
            comparison = _withdraw(comparison, widened, p_value, len(comparisons))
        corrected[names] = PairedComparison(*names, comparison, p_value, sign_flip)
    return corrected


def _withdraw(comparison: Comparison, widened: Comparison, p_value: float, count: int) -> Comparison:
    """Make a comparison undecided that `count` comparisons together leave with Holm's p-value.

    widened: the same comparison at the corrected level, which says what would settle it.
    """
    return replace(
        comparison,
        verdict="undecided",
        explanation=f"{widened.explanation} (Alone it would say {comparison.verdict}, but {count} comparisons were "
        f"made: Holm's p = {p_value:.2g}.)",
    )


def _decide_arm(
    arm: ArmPredictions,
    rivals: list[ArmPredictions],
    comparisons: Mapping[tuple[str, str], PairedComparison],
    question: Question,
) -> ArmVerdict:
    names = [(arm.name, rival.name) for rival in rivals]
    pairs = [comparisons[pair] for pair in names if pair in comparisons]
    verdict, explanation = _decide(arm, rivals, pairs, question)
    return ArmVerdict(arm.name, arm.generated, verdict, rivals[0].name if rivals else None, explanation, pairs)


def _decide(
    arm: ArmPredictions, rivals: list[ArmPredictions], pairs: list[PairedComparison], question: Question
) -> tuple[Verdict, str]:
    """Return the verdict on an arm and its explanation. pairs: its comparisons with those rivals that allow one."""
    if not rivals or (arm.generated and rivals[0].augmentation != arm.augmentation):
        missing = question.baseline_with(arm.augmentation) if arm.generated else question.baseline
        return "undecided", f"There is no arm to compare {arm.name} with; {missing} in train.arms would be one."
    first_rival, last_rival = rivals[0], rivals[-1]
    if not pairs or pairs[0].against != first_rival.name:
        return "undecided", f"{arm.name} and {first_rival.name} have no finished seed of the same split in common."
    first, last = pairs[0].comparison, pairs[-1].comparison
    if not arm.generated or first.verdict != "helps":
        return first.verdict, first.explanation
    if last_rival.name_without_settings != question.baseline:
        return "undecided", f"{first.explanation} But there is no arm {question.baseline} to compare with as well."
    if pairs[-1].against != last_rival.name:
        return "undecided", f"{first.explanation} But it has no finished seed in common with {last_rival.name}."
    if last.verdict != "helps":
        return "undecided", f"Better than {first_rival.name}, but not than {last_rival.name}: {last.explanation}"
    return "helps", first.explanation
