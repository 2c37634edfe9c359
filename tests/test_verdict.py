"""The rules of a verdict: with which arms an arm is compared, when it helps, and what is corrected for."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from fer_experiments.evaluation.arm_comparisons import ArmPredictions
from fer_experiments.evaluation.comparison import compare
from fer_experiments.evaluation.intervals import Variance
from fer_experiments.evaluation.p_values import holm
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import score
from fer_experiments.evaluation.verdict import decide_verdicts
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
    assert verdict.explanation.startswith("Better than none+traditional, but not shown to be better than none: ")


def test_it_helps_only_if_it_is_better_than_every_simple_arm_whatever_validation_says():
    simple = make_arm("none", 0.6, validation=0.9), make_arm("oversample", 0.8, validation=0.7)
    verdict = verdicts(*simple, make_arm("dcgan", 0.7))["dcgan"]
    assert (verdict.verdict, verdict.against) == ("hurts", "oversample")
    assert " It is better than none (+" in verdict.explanation


def test_the_best_of_many_rivals_must_be_equivalent_by_far():
    arms = make_arm("none", 0.70), *(make_arm(f"simple{number}", 0.70) for number in range(9)), make_arm("dcgan", 0.70)
    best = verdicts(*arms)["dcgan"].pairs[0].comparison
    assert verdicts(*arms, margin=0.2)["dcgan"].verdict == "equivalent"
    verdict = verdicts(*arms, margin=1.001 * max(-best.low, best.high))["dcgan"]
    assert verdict.verdict == "undecided"
    assert "But it was chosen among 10 rivals, and corrected for that the interval is " in verdict.explanation


def test_many_simple_arms_do_not_make_it_harder_to_help():
    simple = [make_arm(f"simple{number}", 0.70) for number in range(12)]
    few, many = (verdicts(make_arm("none", 0.7), *rivals, make_arm("dcgan", 0.75)) for rivals in (simple[:1], simple))
    assert few["dcgan"].verdict == many["dcgan"].verdict == "helps"
    assert many["dcgan"].p_value == max(pair.comparison.interval_p_value for pair in many["dcgan"].pairs)


def test_every_arm_makes_the_seeds_of_all_arms_better_known():
    arms = [make_arm(name, 0.7, seeds=range(3), seed=3) for name in ("none", "oversample", "mixup", "dcgan")]
    scores = [score(arm.predictions, LABELS) for arm in arms]
    variance = np.mean([(a - b).var(ddof=1) for a, b in itertools.combinations(scores, 2)])
    pair = verdicts(*arms)["oversample"].pairs[0]
    expected = compare(arms[1].predictions, arms[0].predictions, LABELS, seed_variance=Variance(variance, 6))
    assert (pair.comparison.low, pair.comparison.high) == pytest.approx((expected.low, expected.high))


def test_a_collapsed_seed_is_named_and_widens_no_other_comparison():
    simple = make_arm("none", 0.7), make_arm("oversample", 0.72)
    collapsed = make_arm("dcgan", 0.8)
    collapsed.predictions[4] = 1
    result = verdicts(*simple, collapsed)
    assert result["dcgan"].explanation.endswith("In 1 of 10 seeds dcgan predicts a single class for every image.")
    assert result["oversample"].pairs == verdicts(*simple)["oversample"].pairs
    expected = compare(collapsed.predictions, simple[0].predictions, LABELS)
    assert expected in [pair.comparison for pair in result["dcgan"].pairs]


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


@pytest.mark.parametrize(("key", "comparisons"), [("data.imbalance", 1), ("gan.epochs", 3)])
def test_each_setting_of_the_data_is_corrected_alone_and_others_together(key, comparisons):
    arms = [make_arm("none", 0.6), make_arm("dcgan", 0.61, seed=2)]
    named = [replace(arm, name=f"{arm.name} [{key}={value}]") for value in (2, 5, 9) for arm in arms]
    results = [verdict for verdict in decide_verdicts(named, LABELS, Question()) if verdict.generated]
    assert len(results) == 3
    for verdict in results:
        assert verdict.p_value == pytest.approx(comparisons * verdict.pairs[0].comparison.interval_p_value)


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


def test_p_values_are_corrected_among_generated_and_among_simple_arms():
    arms = [
        make_arm("none", 0.70),
        make_arm("oversample", 0.72),
        make_arm("class_weight", 0.705),
        make_arm("dcgan", 0.69),
    ]
    result = verdicts(*arms)
    alone = [result[name].pairs[0].comparison.interval_p_value for name in ("oversample", "class_weight")]
    assert [result[name].p_value for name in ("oversample", "class_weight")] == holm(alone)
    against_best = result["dcgan"].pairs[0]
    assert (against_best.against, len(result["dcgan"].pairs)) == ("oversample", 3)
    assert result["dcgan"].p_value == min(1, 3 * against_best.comparison.interval_p_value)


def test_a_gain_that_only_one_of_many_generated_arms_shows_is_undecided():
    rng = np.random.default_rng(3)
    lucky, *unlucky = (np.where(rng.random((6, len(LABELS))) < p, LABELS, 1 - LABELS) for p in (0.73, *[0.70] * 40))
    base = unlucky.pop()
    splits = {seed: str(seed) for seed in range(6)}
    arms = [ArmPredictions("none", splits, base, 0.7, False), ArmPredictions("dcgan", splits, lucky, 0.7, True)]
    assert decide_verdicts(arms, LABELS, Question())[0].verdict == "helps"
    more = [ArmPredictions(f"gan{n}", splits, each, 0.1, True) for n, each in enumerate(unlucky)]
    verdict = verdicts(*arms, *more)["dcgan"]
    assert verdict.verdict == "undecided"
    assert "(Alone it would say helps, but p = " in verdict.explanation


def test_margin_level_and_metric_reach_the_comparison():
    arms = make_arm("none", 0.70), make_arm("oversample", 0.70)
    assert verdicts(*arms, margin=0.2)["oversample"].verdict == "equivalent"
    assert "99% interval" in verdicts(*arms, level=0.99)["oversample"].explanation
    assert "macro F1" in verdicts(*arms, metric="macro_f1")["oversample"].explanation


def test_a_control_needs_only_the_baseline_of_its_augmentation():
    control = replace(make_arm("real_images+traditional", 0.9), control=True)
    verdict = verdicts(make_arm("none", 0.6), make_arm("none+traditional", 0.7), control)["real_images+traditional"]
    assert (verdict.verdict, verdict.against) == ("helps", "none+traditional")


def test_an_arm_with_one_seed_takes_no_part_in_the_correction():
    arms = make_arm("none", 0.7), make_arm("dcgan", 0.72, seeds=range(5))
    alone = verdicts(*arms)["dcgan"].p_value
    corrected = verdicts(*arms, make_arm("dcgan [gan.epochs=9]", 0.9, seeds=[0]))
    assert corrected["dcgan"].p_value == min(1.0, 2 * alone)
    assert corrected["dcgan [gan.epochs=9]"].p_value == 1


def test_one_seed_is_undecided_whatever_the_difference():
    verdict = verdicts(make_arm("none", 0.5, seeds=[0]), make_arm("dcgan", 0.9, seeds=[0]))["dcgan"]
    assert verdict.verdict == "undecided"
    assert "One seed" in verdict.explanation


def test_a_question_has_the_defaults_of_a_study(read):
    study = read("train=study").train
    assert study.model_dump(include=set(Question.model_fields)) == Question().model_dump()
