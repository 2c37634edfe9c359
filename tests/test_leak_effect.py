"""What test images in the training seem to add to an arm's gain."""

import pytest

from fer_experiments.evaluation.arm_comparisons import ArmPredictions
from fer_experiments.evaluation.comparison import compare
from fer_experiments.evaluation.leak_effect import compute_leak_effects
from fer_experiments.evaluation.question import Question
from tests.simulation import LABELS, make_arm


def test_the_leak_is_what_it_adds_to_the_gain():
    arms = [make_arm("none", 0.70), make_arm("dcgan", 0.71), make_arm("none@leak", 0.72), make_arm("dcgan@leak", 0.80)]
    (effect,) = compute_leak_effects(arms, LABELS, Question())
    assert (effect.arm, effect.against) == ("dcgan", "none")
    clean, leaky = (compare(arms[n + 1].predictions, arms[n].predictions, LABELS).difference for n in (0, 2))
    assert effect.inflation == pytest.approx(leaky - clean)
    assert effect.inflation > 0.04


def test_a_leak_is_compared_only_with_its_clean_arm_and_both_baselines():
    full = [make_arm("none", 0.70), make_arm("dcgan", 0.71), make_arm("none@leak", 0.72), make_arm("dcgan@leak", 0.80)]
    for missing in range(4):
        rest = [arm for number, arm in enumerate(full) if number != missing]
        assert compute_leak_effects(rest, LABELS, Question()) == []


def baselines(arms: list[ArmPredictions]) -> list[str]:
    return [effect.against for effect in compute_leak_effects(arms, LABELS, Question())]


def test_the_leak_of_an_augmented_arm_is_against_its_augmented_baseline_if_there_is_one():
    plain = [make_arm(f"{name}{leak}", 0.7) for leak in ("", "@leak") for name in ("none", "dcgan+traditional")]
    assert baselines(plain) == ["none"]
    augmented = [make_arm(f"none+traditional{leak}", 0.7) for leak in ("", "@leak")]
    assert baselines(plain + augmented) == ["none+traditional"]
