"""The rules of a verdict: with which arms an arm is compared, when it helps, and what is corrected for."""

from dataclasses import replace

import numpy as np
import pytest

from fer_experiments.evaluation.comparison import compare
from fer_experiments.evaluation.p_values import holm
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.verdict import ArmPredictions, decide_verdicts
from tests.simulation import LABELS, make_arm


def verdicts(*arms: ArmPredictions, **changes) -> dict:
    return {verdict.arm: verdict for verdict in decide_verdicts(arms, LABELS, Question(**changes))}


@pytest.mark.parametrize(
    ("name", "augmentation"),
    [
        ("none", "none"),
        ("dcgan", "none"),
        ("dcgan+traditional", "traditional"),
        ("dcgan@leak", "none"),
        ("dcgan+traditional@leak", "traditional"),
        ("dcgan+traditional [gan.epochs=100]", "traditional"),
        ("dcgan [balance.sampling_strategy=0.9+1]", "none"),
    ],
)
def test_an_arms_augmentation_is_read_from_its_name(name, augmentation):
    assert make_arm(name, 0.5).augmentation == augmentation


def test_every_arm_but_the_baseline_gets_a_verdict_in_order():
    assert list(verdicts(make_arm("dcgan", 0.7), make_arm("none", 0.7), make_arm("oversample", 0.7))) == [
        "dcgan",
        "oversample",
    ]


def test_a_simple_arm_is_compared_with_the_baseline():
    result = verdicts(make_arm("none", 0.7), make_arm("oversample", 0.8), make_arm("class_weight", 0.6))
    assert (result["oversample"].verdict, result["oversample"].against) == ("helps", "none")
    assert (result["class_weight"].verdict, result["class_weight"].against) == ("hurts", "none")


def test_a_generated_arm_that_beats_none_but_not_the_best_simple_arm_does_not_help():
    verdict = verdicts(make_arm("none", 0.6), make_arm("oversample", 0.8), make_arm("dcgan", 0.7))["dcgan"]
    assert (verdict.verdict, verdict.against) == ("hurts", "oversample")
    assert [pair.against for pair in verdict.pairs] == ["oversample", "none"]
    assert verdict.pairs[1].comparison.verdict == "helps"


def test_a_generated_arm_that_beats_both_helps():
    verdict = verdicts(make_arm("none", 0.6), make_arm("oversample", 0.7), make_arm("dcgan", 0.8))["dcgan"]
    assert (verdict.verdict, verdict.against) == ("helps", "oversample")


def test_a_generated_arm_that_beats_its_simple_arm_but_not_none_is_undecided():
    arms = make_arm("none", 0.8), make_arm("none+traditional", 0.6), make_arm("dcgan+traditional", 0.7)
    verdict = verdicts(*arms)["dcgan+traditional"]
    assert (verdict.verdict, verdict.against) == ("undecided", "none+traditional")
    assert verdict.explanation.startswith("Better than none+traditional, but not than none: ")


def test_the_best_simple_arm_is_chosen_on_validation_not_on_test():
    simple = make_arm("none", 0.6, validation=0.9), make_arm("oversample", 0.8, validation=0.7)
    assert verdicts(*simple, make_arm("dcgan", 0.7))["dcgan"].against == "none"


def test_the_comparison_arm_has_the_same_augmentation():
    arms = (
        make_arm("none", 0.6),
        make_arm("oversample", 0.9),
        make_arm("none+traditional", 0.7),
        make_arm("dcgan+traditional", 0.7),
    )
    assert verdicts(*arms)["dcgan+traditional"].against == "none+traditional"


def test_arms_of_a_sweep_are_compared_with_arms_that_have_no_further_settings():
    arms = [
        make_arm("none [data.bottleneck=null]", 0.6),
        make_arm("none [data.bottleneck=64]", 0.7),
        make_arm("oversample", 0.5),
    ]
    arms += [
        make_arm("dcgan [data.bottleneck=64, gan.epochs=9]", 0.8),
        make_arm("dcgan [data.bottleneck=null]", 0.5, 0.1),
    ]
    result = verdicts(*arms)
    assert set(result) == {arm.name for arm in arms[2:]}
    for name, against in zip(
        list(result)[1:], ("none [data.bottleneck=64]", "none [data.bottleneck=null]"), strict=True
    ):
        assert result[name].against == against
    assert result["oversample"].against is None


def test_doses_are_compared_with_simple_arms_without_settings_and_not_with_each_other():
    doses = [
        make_arm("dcgan [balance.add=0]", 0.9),
        make_arm("dcgan [balance.add=200]", 0.7),
        make_arm("dcgan [balance.add=500]", 0.6),
    ]
    doses[0] = replace(doses[0], generated=False)
    result = verdicts(make_arm("none", 0.6), make_arm("oversample", 0.65), *doses)
    assert [result[dose.name].against for dose in doses] == ["none", "oversample", "oversample"]
    assert result["dcgan [balance.add=200]"].verdict == "helps"


def test_each_setting_of_the_data_is_corrected_alone_and_others_together():
    def largest_p_value(*settings: str) -> float:
        arms = [make_arm("none", 0.6), make_arm("dcgan", 0.61, seed=2)]
        named = [replace(arm, name=f"{arm.name} [{setting}]") for setting in settings for arm in arms]
        return max(verdict.pairs[0].interval_p_value for verdict in decide_verdicts(named, LABELS, Question()))

    assert largest_p_value("data.imbalance=2", "data.imbalance=5", "data.imbalance=9") == largest_p_value(
        "data.imbalance=2"
    )
    assert largest_p_value("gan.epochs=2", "gan.epochs=5", "gan.epochs=9") > largest_p_value("gan.epochs=2")


def test_without_a_simple_arm_of_the_same_augmentation_it_is_undecided():
    verdict = verdicts(make_arm("none", 0.6), make_arm("dcgan+traditional", 0.9))["dcgan+traditional"]
    assert verdict.verdict == "undecided"
    assert "none+traditional in train.arms would be one" in verdict.explanation
    assert verdict.pairs[0].comparison.verdict == "helps"  # the comparison is kept all the same


def test_without_the_baseline_a_generated_arm_never_helps():
    result = verdicts(make_arm("oversample", 0.6), make_arm("dcgan", 0.9))
    assert result["dcgan"].verdict == "undecided"
    assert "there is no arm none to compare with as well" in result["dcgan"].explanation
    assert result["oversample"].verdict == "undecided"


def test_only_seeds_with_the_same_split_are_compared():
    base = make_arm("none", 0.6, seeds=range(5))
    later = make_arm("oversample", 0.6, seeds=range(2, 8))
    verdict = verdicts(base, later)["oversample"]
    expected = compare(later.predictions[:3], base.predictions[2:], LABELS)
    assert verdict.pairs[0].comparison == expected
    verdict = verdicts(base, make_arm("oversample", 0.6, split="another"))["oversample"]
    assert (verdict.verdict, verdict.pairs) == ("undecided", [])
    assert "no finished seed of the same split in common" in verdict.explanation


def test_p_values_are_corrected_for_all_comparisons():
    arms = [
        make_arm("none", 0.70),
        make_arm("oversample", 0.72),
        make_arm("class_weight", 0.705),
        make_arm("dcgan", 0.69),
    ]
    pairs = [pair for verdict in verdicts(*arms).values() for pair in verdict.pairs]
    assert len({(pair.arm, pair.against) for pair in pairs}) == len(pairs) == 4
    assert [pair.sign_flip_p_value for pair in pairs] == holm([pair.comparison.p_value for pair in pairs])
    alone = [compare(arms[n].predictions, arms[0].predictions, LABELS).interval_p_value for n in (1, 2)]
    assert [pair.comparison.interval_p_value for pair in pairs[:2]] == alone
    assert all(pair.interval_p_value >= pair.comparison.interval_p_value for pair in pairs)


def test_a_gain_that_only_one_of_many_comparisons_shows_is_undecided():
    rng = np.random.default_rng(3)
    lucky = np.where(rng.random((6, len(LABELS))) < 0.737, LABELS, 1 - LABELS)
    base = np.where(rng.random((6, len(LABELS))) < 0.70, LABELS, 1 - LABELS)
    splits = {seed: str(seed) for seed in range(6)}
    arms = [ArmPredictions("none", splits, base, 0.7, False), ArmPredictions("dcgan", splits, lucky, 0.7, True)]
    assert decide_verdicts(arms, LABELS, Question())[0].verdict == "helps"
    p_value = compare(lucky, base, LABELS).interval_p_value
    more = [ArmPredictions(f"simple{n}", splits, base, 0.1, False) for n in range(int(0.05 / p_value) + 1)]
    verdict = verdicts(*arms, *more)["dcgan"]
    assert verdict.verdict == "undecided"
    assert "Alone it would say helps, but" in verdict.explanation
    assert "would settle it" in verdict.explanation


def test_margin_level_and_metric_reach_the_comparison():
    arms = make_arm("none", 0.70), make_arm("oversample", 0.70)
    assert verdicts(*arms, margin=0.2)["oversample"].verdict == "equivalent"
    assert "99% interval" in verdicts(*arms, level=0.99)["oversample"].explanation
    assert "macro f1" in verdicts(*arms, metric="macro_f1")["oversample"].explanation


def test_one_seed_is_undecided_whatever_the_difference():
    verdict = verdicts(make_arm("none", 0.5, seeds=[0]), make_arm("dcgan", 0.9, seeds=[0]))["dcgan"]
    assert verdict.verdict == "undecided"
    assert "One seed" in verdict.explanation


def test_a_question_has_the_defaults_of_a_study(read):
    study = read("train=study").train
    assert study.model_dump(include=set(Question.model_fields)) == Question().model_dump()
