"""What test images in the training of the GAN seem to add to an arm's gain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fer_experiments.evaluation.arm_comparisons import ArmPredictions
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.comparison import Comparison
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import Array


@dataclass(frozen=True)
class LeakEffect:
    """An arm's gain over no balancing, clean and with test images seen by the GAN and the choice of the epoch."""

    arm: str
    against: str
    clean: Comparison
    leaky: Comparison

    @property
    def inflation(self) -> float:
        """How much the leak raises the gain, in shares of 1."""
        return self.leaky.difference - self.clean.difference


def compute_leak_effects(
    arms: Sequence[ArmPredictions], labels: Array, question: Question, clusters: Array | None = None
) -> list[LeakEffect]:
    """Compute the effect for every arm with generated images if it and its baseline were also trained with the leak.

    The baseline has the arm's augmentation, if the study has such an arm in both ways. labels: (N,) of the test images.
    clusters: (N,) of those that were drawn together.
    """
    by_name = {arm.name: arm for arm in arms}
    effects = []
    for arm in arms:
        if not arm.generated or arm.parsed_name.leak:
            continue
        for against in (question.baseline_with(arm.augmentation), question.baseline):
            if by_name.keys() >= {arm.name, against, _with_leak(arm.name), _with_leak(against)}:
                effects.append(_compute_effect(arm.name, against, by_name, labels, question, clusters))
                break
    return [effect for effect in effects if effect is not None]


def _compute_effect(
    arm: str,
    against: str,
    by_name: Mapping[str, ArmPredictions],
    labels: Array,
    question: Question,
    clusters: Array | None,
) -> LeakEffect | None:
    """Return the effect; None if the arms have no seed in common."""
    clean = by_name[arm].with_common_seeds(by_name[against])
    leaky = by_name[_with_leak(arm)].with_common_seeds(by_name[_with_leak(against)])
    if not len(clean[0]) or not len(leaky[0]):
        return None
    return LeakEffect(arm, against, *(question.compare(*both, labels, clusters) for both in (clean, leaky)))


def _with_leak(name: str) -> str:
    return str(ArmName.parse(name).with_leak())
