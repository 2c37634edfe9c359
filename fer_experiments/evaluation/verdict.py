"""Which arms help, and against which other arms: the rules for comparing several arms at once.

.github/docs/verdict.md explains them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.comparison import Comparison, Verdict, has_one_class
from fer_experiments.evaluation.intervals import Variance
from fer_experiments.evaluation.p_values import holm
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import Array, score

Pool = tuple[str, tuple[tuple[int, str], ...]]  # the setting of the data, and the seeds with their splits


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

    @property
    def collapsed_seeds(self) -> int:
        """In how many seeds it predicts a single class for every image."""
        return int(has_one_class(self.predictions).sum())

    @property
    def pool(self) -> Pool:
        return self.parsed_name.data, tuple(self.splits.items())

    def can_be_decided_by(self, rival: "ArmPredictions") -> bool:
        """Whether a comparison with the rival shows what the arm's own way of balancing does."""
        return not self.generated or rival.augmentation == self.augmentation

    def with_common_seeds(self, rival: "ArmPredictions") -> tuple[Array, Array]:
        """Return the predictions (S, N) of both arms on the seeds that both have with the same split."""
        rival_rows = {seed_and_split: row for row, seed_and_split in enumerate(rival.splits.items())}
        rows = [(row, rival_rows[key]) for row, key in enumerate(self.splits.items()) if key in rival_rows]
        return self.predictions[[row for row, _ in rows]], rival.predictions[[row for _, row in rows]]


@dataclass(frozen=True)
class PairedComparison:
    """`arm` minus `against` on the seeds that both finished. Its p-values and its interval are those of this pair."""

    arm: str
    against: str
    comparison: Comparison


@dataclass(frozen=True)
class ArmVerdict:
    """The verdict on one arm.

    Attributes:
        generated: whether the arm used generated images.
        against: the rival that decides it, which did best; None if there is none.
        explanation: the verdict's reason in a sentence or two.
        p_value: of "helps" or "hurts", corrected for all arms of the same kind; None without a comparison.
        pairs: all comparisons of the arm, that with `against` first.
    """

    arm: str
    generated: bool
    verdict: Verdict
    against: str | None
    explanation: str
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
    that they cost the first question nothing.

    In a sweep each setting of the data (data.imbalance=10) is a question of its own and is corrected for alone: a
    reader has data of one ratio, so that the comparisons at other ratios are no further tries at his question. Every
    other setting (a dose, a length of the GAN's training) is one more try and is corrected for. No arm is compared
    with one that has a setting which it lacks.
    """
    variances = _pool_seed_variances(arms, labels, question)
    candidates = [arm for arm in arms if arm.name_without_settings != question.baseline]
    trials = [_compare_arm(arm, arms, labels, question, variances, clusters) for arm in candidates]
    families: dict[tuple[str, bool], list[_Trial]] = {}
    for trial in trials:
        if trial.deciding:
            families.setdefault((trial.arm.parsed_name.data, trial.arm.generated), []).append(trial)
    verdicts = {trial.arm.name: _decide(trial, None, 0, question) for trial in trials}
    for family in families.values():
        p_values = holm([trial.p_value for trial in family])
        for trial, p_value in zip(family, p_values, strict=True):
            verdicts[trial.arm.name] = _decide(trial, p_value, len(family), question)
    return list(verdicts.values())


def _pool_seed_variances(arms: Sequence[ArmPredictions], labels: Array, question: Question) -> dict[Pool, Variance]:
    """Return {pool: variance of the difference of two arms in one seed} for the arms that share data and splits.

    It is twice the residual mean square of scores (arms, seeds) after the means of both (two-way analysis of variance),
    so that every arm adds degrees of freedom. Arms that collapsed to one class in some seed have no part.
    """
    scores: dict[Pool, list[Array]] = {}
    for arm in arms:
        if len(arm.splits) > 1 and not arm.collapsed_seeds:
            values = score(arm.predictions, labels, question.metric)
            scores.setdefault(arm.pool, []).append(values)
    variances = {}
    for pool, rows in scores.items():
        if len(rows) > 1:
            table = np.stack(rows)
            residuals = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
            freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
            variances[pool] = Variance(2 * float((residuals**2).sum()) / freedom, freedom)
    return variances


@dataclass(frozen=True)
class _Trial:
    """An arm, its rivals, and its comparisons with those that have a seed in common.

    deciding: those with rivals of the arm's augmentation, or any of a simple arm, the best rival first.
    further: that with a baseline of another augmentation.
    corrected: the first of `deciding` at a level that is corrected for their number; None if it is not equivalent.
    """

    arm: ArmPredictions
    rivals: list[ArmPredictions]
    deciding: list[PairedComparison]
    further: list[PairedComparison]
    corrected: Comparison | None

    @property
    def pairs(self) -> list[PairedComparison]:
        return [*self.deciding, *self.further]

    @property
    def p_value(self) -> float:
        """The p-value of "helps" if the arm is better than the best rival, else that of "hurts"."""
        best = self.deciding[0].comparison
        if best.difference > 0:
            comparisons = [pair.comparison for pair in self.pairs]
            return max(each.interval_p_value if each.difference > 0 else 1.0 for each in comparisons)
        return min(1.0, len(self.deciding) * best.interval_p_value)

    def pair_with(self, name_without_settings: str) -> PairedComparison | None:
        """Return the comparison with a rival of this name; None if there is none."""
        names = {rival.name: rival.name_without_settings for rival in self.rivals}
        return next((pair for pair in self.pairs if names[pair.against] == name_without_settings), None)


def _compare_arm(
    arm: ArmPredictions,
    arms: Sequence[ArmPredictions],
    labels: Array,
    question: Question,
    variances: Mapping[Pool, Variance],
    clusters: Array | None,
) -> _Trial:
    """Compare an arm with its rivals. variances: of _pool_seed_variances; the rest as in decide_verdicts."""

    def compare_with(rival: ArmPredictions, question: Question) -> Comparison | None:
        both = arm.with_common_seeds(rival)
        if not len(both[0]):
            return None
        is_pooled = arm.pool == rival.pool and not arm.collapsed_seeds and not rival.collapsed_seeds
        variance = variances.get(arm.pool) if is_pooled else None
        return question.compare(*both, labels, clusters, variance)

    rivals = {rival.name: rival for rival in _choose_rivals(arm, arms, question)}
    comparisons = {name: compare_with(rival, question) for name, rival in rivals.items()}
    pairs = [PairedComparison(arm.name, name, each) for name, each in comparisons.items() if each is not None]
    pairs.sort(key=lambda pair: pair.comparison.difference)
    deciding = [pair for pair in pairs if arm.can_be_decided_by(rivals[pair.against])]
    corrected = None
    if deciding and deciding[0].comparison.verdict == "equivalent":
        level = 1 - (1 - question.level) / len(deciding)
        corrected = compare_with(rivals[deciding[0].against], question.model_copy(update={"level": level}))
    return _Trial(arm, [*rivals.values()], deciding, [pair for pair in pairs if pair not in deciding], corrected)


def _choose_rivals(arm: ArmPredictions, arms: Sequence[ArmPredictions], question: Question) -> list[ArmPredictions]:
    """Return the arms to compare with: of each name the one whose settings are the most alike."""
    rivals: dict[str, ArmPredictions] = {}
    for rival in sorted(arms, key=lambda rival: -len(rival.settings)):
        is_baseline = rival.name_without_settings == question.baseline
        serves = is_baseline or (arm.generated and rival.augmentation == arm.augmentation)
        if serves and not rival.generated and rival is not arm and rival.settings <= arm.settings:
            rivals.setdefault(rival.name_without_settings, rival)
    return list(rivals.values())


def _decide(trial: _Trial, p_value: float | None, count: int, question: Question) -> ArmVerdict:
    """Return the verdict on an arm. p_value: corrected for `count` arms; None if there is no comparison."""
    verdict, explanation = _explain(trial, p_value, count, question)
    finished = trial.pairs[0].against if trial.pairs else None
    against = finished or (trial.rivals[0].name if trial.rivals else None)
    sentences = [explanation, *_describe_collapse(trial.arm)]
    return ArmVerdict(trial.arm.name, trial.arm.generated, verdict, against, " ".join(sentences), p_value, trial.pairs)


def _explain(trial: _Trial, p_value: float | None, count: int, question: Question) -> tuple[Verdict, str]:
    arm = trial.arm
    deciding_rivals = [rival.name for rival in trial.rivals if arm.can_be_decided_by(rival)]
    if not deciding_rivals:
        missing = question.baseline_with(arm.augmentation) if arm.generated else question.baseline
        return "undecided", f"There is no arm to compare {arm.name} with; {missing} in train.arms would be one."
    if p_value is None:
        names = " or ".join(deciding_rivals)
        return "undecided", f"{arm.name} has no finished seed of the same split in common with {names}."
    best = trial.deciding[0].comparison
    if best.verdict == "equivalent":
        assert trial.corrected is not None
        if trial.corrected.verdict == "equivalent":
            return "equivalent", best.explanation
        low, high = 100 * trial.corrected.low, 100 * trial.corrected.high
        return "undecided", (
            f"{best.explanation} But it was chosen among {len(trial.deciding)} rivals, and corrected for that the "
            f"interval is {low:+.1f} to {high:+.1f}."
        )
    alpha = 1 - question.level
    if best.verdict not in ("helps", "hurts"):
        return "undecided", best.explanation
    if best.verdict == "helps" and (obstacle := _find_obstacle(trial, question)):
        return "undecided", obstacle
    if p_value > alpha:
        return "undecided", (
            f"{best.explanation} (Alone it would say {best.verdict}, but p = {p_value:.2g} after correction for "
            f"{count} arm{'s' * (count > 1)} and {len(deciding_rivals)} rival{'s' * (len(deciding_rivals) > 1)}.)"
        )
    return best.verdict, best.explanation + (_describe_baseline(trial, question) if best.verdict == "hurts" else "")


def _find_obstacle(trial: _Trial, question: Question) -> str | None:
    """Return why an arm that beats the best rival does not help; None if it does."""
    best = trial.deciding[0]
    for pair in trial.pairs:
        if pair.comparison.verdict != "helps":
            rival, reason = pair.against, pair.comparison.explanation
            return f"Better than {best.against}, but not shown to be better than {rival}: {reason}"
    if trial.pair_with(question.baseline) is not None:
        return None
    if any(rival.name_without_settings == question.baseline for rival in trial.rivals):
        return f"{best.comparison.explanation} But it has no finished seed in common with {question.baseline}."
    return f"{best.comparison.explanation} But there is no arm {question.baseline} to compare with as well."


def _describe_baseline(trial: _Trial, question: Question) -> str:
    """Return a sentence on an arm that is worse than the best rival, compared with no balancing; "" if that is it."""
    pair = trial.pair_with(question.baseline_with(trial.arm.augmentation)) or trial.pair_with(question.baseline)
    if pair is None or pair is trial.pairs[0]:
        return ""
    words = {
        "helps": "better than",
        "hurts": "worse than",
        "equivalent": "equivalent to",
        "undecided": "not distinguishable from",
    }
    comparison = pair.comparison
    low, high = 100 * comparison.low, 100 * comparison.high
    return f" It is {words[comparison.verdict]} {pair.against} ({low:+.1f} to {high:+.1f} points)."


def _describe_collapse(arm: ArmPredictions) -> list[str]:
    """Return a sentence if the arm predicted a single class in some seeds."""
    if not arm.collapsed_seeds:
        return []
    return [
        f"In {arm.collapsed_seeds} of {len(arm.predictions)} seeds {arm.name} predicts a single class for every image."
    ]
