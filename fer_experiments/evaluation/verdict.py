"""Which arms help, and against which other arms: the rules for comparing several arms at once.

.github/docs/verdict.md explains them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fer_experiments.evaluation.arm_comparisons import (
    ArmComparisons,
    ArmPredictions,
    PairedComparison,
    compare_arm,
    pool_seed_variances,
)
from fer_experiments.evaluation.comparison import Verdict
from fer_experiments.evaluation.p_values import holm
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import Array


@dataclass(frozen=True)
class ArmVerdict:
    """The verdict on one arm.

    Attributes:
        generated: whether the arm used generated images.
        against: the rival that decides it, which did best; None if there is none.
        explanation: the verdict's reason in a sentence or two.
        remark: the sentence of the explanation that says how an arm that hurts compares with no balancing, or "".
        p_value: of "helps" or "hurts", corrected for all arms of the same kind; None without a comparison.
        pairs: all comparisons of the arm, that with `against` first.
    """

    arm: str
    generated: bool
    verdict: Verdict
    against: str | None
    explanation: str
    remark: str
    p_value: float | None
    pairs: list[PairedComparison]


def decide_verdicts(
    arms: Sequence[ArmPredictions], labels: Array, question: Question, clusters: Array | None = None
) -> list[ArmVerdict]:
    """Return the verdict on every arm except the baseline, in their order.

    labels: (N,) of the test images. clusters: (N,) of those that were drawn together, as `compare` takes them.

    The study's question is whether generated images help. An arm with them is compared with every simple arm of its
    augmentation and with the baseline. It helps if it is better than each of them; that needs no correction for their
    number (an intersection-union test, Berger 1982). It hurts if it is worse than the one of its augmentation that did
    best, and it is equivalent if it is so to that one, both corrected for their number (Bonferroni). Holm's correction
    is made for the number of arms with generated images.

    Simple arms are a second question, each compared with the baseline and corrected by Holm for their own number, so
    that they cost the first question nothing. Controls, which have more or fewer real images, are a third: each is
    compared with the baseline of its augmentation, and no arm must beat them.

    In a sweep each setting of the data (data.imbalance=10) is a question of its own and is corrected for alone: a
    reader has data of one ratio, so that the comparisons at other ratios are not further attempts at that question.
    Every other setting (a dose, a length of the GAN's training) is one more attempt and is corrected for. No arm is
    compared with one that has a setting which it lacks.
    """
    variances = pool_seed_variances(arms, labels, question)
    candidates = [arm for arm in arms if arm.name_without_settings != question.baseline]
    comparisons = [compare_arm(arm, arms, labels, question, variances, clusters) for arm in candidates]
    families: dict[tuple[str, bool, bool], list[ArmComparisons]] = {}
    for each in comparisons:
        if each.deciding:
            family = (each.arm.parsed_name.data, each.arm.generated, each.arm.control)
            families.setdefault(family, []).append(each)
    # {arm: corrected p-value, for how many arms}; no p-value without a comparison
    corrections: dict[str, tuple[float | None, int]] = {each.arm.name: (None, 0) for each in comparisons}
    for members in families.values():
        for each, p_value in zip(members, holm([member.p_value for member in members]), strict=True):
            corrections[each.arm.name] = p_value, len(members)
    return [_decide(each, *corrections[each.arm.name], question) for each in comparisons]


def _decide(comparisons: ArmComparisons, p_value: float | None, count: int, question: Question) -> ArmVerdict:
    """Return the verdict on an arm. p_value: corrected for `count` arms; None if there is no comparison."""
    verdict, explanation = _explain(comparisons, p_value, count, question)
    finished = comparisons.pairs[0].against if comparisons.pairs else None
    against = finished or (comparisons.rivals[0].name if comparisons.rivals else None)
    remark = _describe_baseline(comparisons, question) if verdict == "hurts" else ""
    sentences = filter(None, [explanation, remark, _describe_collapse(comparisons.arm)])
    return ArmVerdict(
        comparisons.arm.name,
        comparisons.arm.generated,
        verdict,
        against,
        " ".join(sentences),
        remark,
        p_value,
        comparisons.pairs,
    )


def _explain(comparisons: ArmComparisons, p_value: float | None, count: int, question: Question) -> tuple[Verdict, str]:
    arm = comparisons.arm
    deciding_rivals = [rival.name for rival in comparisons.rivals if arm.can_be_decided_by(rival)]
    if not deciding_rivals:
        needs_same = arm.generated or arm.control
        missing = question.baseline_with(arm.augmentation) if needs_same else question.baseline
        return "undecided", f"There is no arm to compare {arm.name} with; {missing} in train.arms would be one."
    if p_value is None:
        names = " or ".join(deciding_rivals)
        return "undecided", f"{arm.name} has no finished seed of the same split in common with {names}."
    best = comparisons.deciding[0].comparison
    if best.verdict == "equivalent":
        assert comparisons.corrected is not None
        if comparisons.corrected.verdict == "equivalent":
            return "equivalent", best.explanation
        low, high = 100 * comparisons.corrected.low, 100 * comparisons.corrected.high
        return "undecided", (
            f"{best.explanation} But it was chosen among {len(comparisons.deciding)} rivals, and corrected for that "
            f"the interval is {low:+.1f} to {high:+.1f}."
        )
    alpha = 1 - question.level
    if best.verdict not in ("helps", "hurts"):
        return "undecided", best.explanation
    if best.verdict == "helps" and (obstacle := _find_obstacle(comparisons, question)):
        return "undecided", obstacle
    if p_value > alpha:
        return "undecided", (
            f"{best.explanation} (Alone it would say {best.verdict}, but p = {p_value:.2g} after correction for "
            f"{count} arm{'s' * (count > 1)} and {len(deciding_rivals)} rival{'s' * (len(deciding_rivals) > 1)}.)"
        )
    return best.verdict, best.explanation


def _find_obstacle(comparisons: ArmComparisons, question: Question) -> str | None:
    """Return why an arm that beats the best rival does not help; None if it does."""
    best = comparisons.deciding[0]
    for pair in comparisons.pairs:
        if pair.comparison.verdict != "helps":
            rival, reason = pair.against, pair.comparison.explanation
            return f"Better than {best.against}, but not shown to be better than {rival}: {reason}"
    if comparisons.arm.control or comparisons.pair_with(question.baseline) is not None:
        return None
    if any(rival.name_without_settings == question.baseline for rival in comparisons.rivals):
        return f"{best.comparison.explanation} But it has no finished seed in common with {question.baseline}."
    return f"{best.comparison.explanation} But there is no arm {question.baseline} to compare with as well."


def _describe_baseline(comparisons: ArmComparisons, question: Question) -> str:
    """Return a sentence on an arm that is worse than the best rival, compared with no balancing; "" if that is it."""
    pair = comparisons.pair_with(question.baseline_with(comparisons.arm.augmentation)) or comparisons.pair_with(
        question.baseline
    )
    if pair is None or pair is comparisons.pairs[0]:
        return ""
    words = {
        "helps": "better than",
        "hurts": "worse than",
        "equivalent": "equivalent to",
        "undecided": "not distinguishable from",
    }
    comparison = pair.comparison
    low, high = 100 * comparison.low, 100 * comparison.high
    return f"It is {words[comparison.verdict]} {pair.against} ({low:+.1f} to {high:+.1f} points)."


def _describe_collapse(arm: ArmPredictions) -> str:
    """Return a sentence if the arm predicted a single class in some seeds."""
    if not arm.collapsed_seeds:
        return ""
    return (
        f"In {arm.collapsed_seeds} of {len(arm.predictions)} seeds {arm.name} predicts a single class for every image."
    )
