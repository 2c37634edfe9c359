"""The comparisons of each arm with its rivals, the arms that show what its way of balancing does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.comparison import Comparison, has_one_class
from fer_experiments.evaluation.intervals import Variance
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import Array, score

Pool = tuple[str, tuple[tuple[int, str], ...]]  # the setting of the data, and the seeds with their splits


@dataclass(frozen=True)
class ArmPredictions:
    """The predictions of one arm for the test images, which are the same for all arms and seeds.

    Attributes:
        splits: {seed: hash of its split}.
        predictions: (S, N) class indices, a row for each of these seeds, or (S, N, K) scores, as `compare` takes them.
        validation: the mean over the seeds of the metric on validation, by which arms are chosen.
        generated: whether the arm used generated images.
        control: whether the arm shows what more or fewer real images do; it is no rival of any arm.
    """

    name: str
    splits: Mapping[int, str]
    predictions: Array
    validation: float
    generated: bool
    control: bool = False

    @property
    def parsed_name(self) -> ArmName:
        return ArmName.parse(self.name)

    @property
    def name_without_settings(self) -> str:
        return self.parsed_name.without_settings

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
        return not (self.generated or self.control) or rival.augmentation == self.augmentation

    def with_common_seeds(self, rival: "ArmPredictions") -> tuple[Array, Array]:
        """Return the predictions (S, N) of both arms on the seeds that both have with the same split."""
        common = [seed for seed in self.splits.items() if seed in rival.splits.items()]
        return self.select_seeds(common), rival.select_seeds(common)

    def select_seeds(self, seeds: Sequence[tuple[int, str]]) -> Array:
        """Return the predictions (S, N) on the given seeds, each with the hash of its split."""
        rows = {seed: row for row, seed in enumerate(self.splits.items())}
        return self.predictions[[rows[seed] for seed in seeds]]


@dataclass(frozen=True)
class PairedComparison:
    """`arm` minus `against` on the seeds that both finished. Its p-values and its interval are those of this pair."""

    arm: str
    against: str
    comparison: Comparison


@dataclass(frozen=True)
class ArmComparisons:
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
        """The p-value of "helps" if the arm is better than the best rival, else that of "hurts"; 1 with one seed."""
        best = self.deciding[0].comparison
        if best.seeds == 1:
            return 1.0
        if best.difference > 0:
            comparisons = [pair.comparison for pair in self.pairs]
            return max(each.interval_p_value if each.difference > 0 else 1.0 for each in comparisons)
        return min(1.0, len(self.deciding) * best.interval_p_value)

    def pair_with(self, name_without_settings: str) -> PairedComparison | None:
        """Return the comparison with a rival of this name; None if there is none."""
        names = {rival.name: rival.name_without_settings for rival in self.rivals}
        return next((pair for pair in self.pairs if names[pair.against] == name_without_settings), None)


def pool_seed_variances(arms: Sequence[ArmPredictions], labels: Array, question: Question) -> dict[Pool, Variance]:
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


def compare_arm(
    arm: ArmPredictions,
    arms: Sequence[ArmPredictions],
    labels: Array,
    question: Question,
    variances: Mapping[Pool, Variance],
    clusters: Array | None,
) -> ArmComparisons:
    """Compare an arm with its rivals. variances: of pool_seed_variances; the rest as in decide_verdicts."""

    def compare_with(rival: ArmPredictions, question: Question) -> Comparison | None:
        return compare_pair(arm, rival, labels, question, variances, clusters)

    rivals = {rival.name: rival for rival in _choose_rivals(arm, arms, question)}
    comparisons = {name: compare_with(rival, question) for name, rival in rivals.items()}
    pairs = [PairedComparison(arm.name, name, each) for name, each in comparisons.items() if each is not None]
    pairs.sort(key=lambda pair: pair.comparison.difference)
    deciding = [pair for pair in pairs if arm.can_be_decided_by(rivals[pair.against])]
    corrected = None
    if deciding and deciding[0].comparison.verdict == "equivalent":
        level = 1 - (1 - question.level) / len(deciding)
        corrected = compare_with(rivals[deciding[0].against], question.model_copy(update={"level": level}))
    return ArmComparisons(
        arm, [*rivals.values()], deciding, [pair for pair in pairs if pair not in deciding], corrected
    )


def compare_pair(
    arm: ArmPredictions,
    rival: ArmPredictions,
    labels: Array,
    question: Question,
    variances: Mapping[Pool, Variance],
    clusters: Array | None,
) -> Comparison | None:
    """Compare two arms on the seeds that both have; None if there is none. The arguments are those of compare_arm."""
    both = arm.with_common_seeds(rival)
    if not len(both[0]):
        return None
    is_pooled = arm.pool == rival.pool and not arm.collapsed_seeds and not rival.collapsed_seeds
    return question.compare(*both, labels, clusters, variances.get(arm.pool) if is_pooled else None)


def _choose_rivals(arm: ArmPredictions, arms: Sequence[ArmPredictions], question: Question) -> list[ArmPredictions]:
    """Return the arms to compare with: of each name the one whose settings are the most alike.

    A control is compared with the baseline of its own augmentation.
    """
    if arm.control:
        return [baseline] if (baseline := find_baseline(arm, arms, question)) else []
    rivals: dict[str, ArmPredictions] = {}
    for rival in sorted(arms, key=lambda rival: -len(rival.settings)):
        is_baseline = rival.name_without_settings == question.baseline
        serves = is_baseline or (arm.generated and rival.augmentation == arm.augmentation)
        is_simple = not rival.generated and not rival.control
        if serves and is_simple and rival is not arm and rival.settings <= arm.settings:
            rivals.setdefault(rival.name_without_settings, rival)
    return list(rivals.values())


def find_baseline(arm: ArmPredictions, arms: Sequence[ArmPredictions], question: Question) -> ArmPredictions | None:
    """Return the baseline with the arm's augmentation whose settings are the most alike; None if there is none."""
    name = question.baseline_with(arm.augmentation)
    baselines = [each for each in arms if each.name_without_settings == name and each.settings <= arm.settings]
    return max(baselines, key=lambda each: len(each.settings), default=None)
