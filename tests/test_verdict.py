"""The rules of a verdict: against whom, when helps may be said, and how many comparisons were made."""

from dataclasses import replace

import numpy as np
import pytest

from fer_experiments.evaluation.statistics import compare, holm
from fer_experiments.evaluation.verdict import Arm, Question, judge, leak_effects

LABELS = np.repeat([0, 1], 300)
SEEDS = 10


def arm(
    name: str, accuracy: float, validation: float | None = None, seeds=range(SEEDS), split: str = "", seed=1
) -> Arm:
    """Right on about `accuracy` of the images, on the same ones as every other arm made here where it can be."""
    difficulty = np.random.default_rng(0).random(len(LABELS))
    noise = np.random.default_rng([seed, *name.encode()]).normal(0, 0.02, (len(seeds), len(LABELS)))
    right = difficulty + noise < accuracy
    predictions = np.where(right, LABELS, 1 - LABELS)
    splits = {number: f"{split}{number}" for number in seeds}
    return Arm(name, splits, predictions, accuracy if validation is None else validation, "dcgan" in name)


def verdicts(*arms: Arm, **changes) -> dict:
    return {found.arm: found for found in judge(arms, LABELS, Question(**changes))}


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
    assert arm(name, 0.5).augmentation == augmentation


def test_every_arm_but_the_baseline_gets_a_verdict_in_order():
    assert list(verdicts(arm("dcgan", 0.7), arm("none", 0.7), arm("oversample", 0.7))) == ["dcgan", "oversample"]


def test_a_simple_arm_is_compared_with_the_baseline():
    found = verdicts(arm("none", 0.7), arm("oversample", 0.8), arm("class_weight", 0.6))
    assert (found["oversample"].verdict, found["oversample"].against) == ("helps", "none")
    assert (found["class_weight"].verdict, found["class_weight"].against) == ("hurts", "none")


def test_a_generated_arm_that_beats_none_but_not_the_best_simple_arm_does_not_help():
    found = verdicts(arm("none", 0.6), arm("oversample", 0.8), arm("dcgan", 0.7))["dcgan"]
    assert (found.verdict, found.against) == ("hurts", "oversample")
    assert [pair.against for pair in found.pairs] == ["oversample", "none"]
    assert found.pairs[1].comparison.verdict == "helps"


def test_a_generated_arm_that_beats_both_helps():
    found = verdicts(arm("none", 0.6), arm("oversample", 0.7), arm("dcgan", 0.8))["dcgan"]
    assert (found.verdict, found.against) == ("helps", "oversample")


def test_a_generated_arm_that_beats_its_simple_arm_but_not_none_is_undecided():
    found = verdicts(arm("none", 0.8), arm("none+traditional", 0.6), arm("dcgan+traditional", 0.7))
    said = found["dcgan+traditional"]
    assert (said.verdict, said.against) == ("undecided", "none+traditional")
    assert said.explanation.startswith("Better than none+traditional, but not than none: ")


def test_the_best_simple_arm_is_chosen_on_validation_not_on_test():
    simple = arm("none", 0.6, validation=0.9), arm("oversample", 0.8, validation=0.7)
    assert verdicts(*simple, arm("dcgan", 0.7))["dcgan"].against == "none"


def test_the_comparison_arm_has_the_same_augmentation():
    arms = arm("none", 0.6), arm("oversample", 0.9), arm("none+traditional", 0.7), arm("dcgan+traditional", 0.7)
    assert verdicts(*arms)["dcgan+traditional"].against == "none+traditional"


def test_arms_of_a_sweep_are_compared_with_what_was_given_no_other_settings():
    arms = [arm("none [data.bottleneck=null]", 0.6), arm("none [data.bottleneck=64]", 0.7), arm("oversample", 0.5)]
    arms += [arm("dcgan [data.bottleneck=64, gan.epochs=9]", 0.8), arm("dcgan [data.bottleneck=null]", 0.5, 0.1)]
    found = verdicts(*arms)
    assert set(found) == {one.name for one in arms[2:]}
    for name, against in zip(
        list(found)[1:], ("none [data.bottleneck=64]", "none [data.bottleneck=null]"), strict=True
    ):
        assert found[name].against == against
    assert found["oversample"].against is None


def test_doses_are_compared_with_simple_arms_without_settings_and_not_with_each_other():
    doses = [
        arm("dcgan [balance.add=0]", 0.9),
        arm("dcgan [balance.add=200]", 0.7),
        arm("dcgan [balance.add=500]", 0.6),
    ]
    doses[0] = replace(doses[0], generated=False)
    found = verdicts(arm("none", 0.6), arm("oversample", 0.65), *doses)
    assert [found[one.name].against for one in doses] == ["none", "oversample", "oversample"]
    assert found["dcgan [balance.add=200]"].verdict == "helps"


def test_each_setting_of_the_data_is_corrected_alone_and_others_together():
    def tried(*settings: str) -> float:
        arms = [arm("none", 0.6), arm("dcgan", 0.61, seed=2)]
        named = [replace(one, name=f"{one.name} [{setting}]") for setting in settings for one in arms]
        return max(found.pairs[0].interval_p_value for found in judge(named, LABELS, Question()))

    assert tried("data.imbalance=2", "data.imbalance=5", "data.imbalance=9") == tried("data.imbalance=2")
    assert tried("gan.epochs=2", "gan.epochs=5", "gan.epochs=9") > tried("gan.epochs=2")


def test_without_a_simple_arm_of_the_same_augmentation_it_is_undecided():
    found = verdicts(arm("none", 0.6), arm("dcgan+traditional", 0.9))["dcgan+traditional"]
    assert found.verdict == "undecided"
    assert "none+traditional in train.arms would be one" in found.explanation
    assert found.pairs[0].comparison.verdict == "helps"  # shown all the same


def test_without_the_baseline_a_generated_arm_never_helps():
    found = verdicts(arm("oversample", 0.6), arm("dcgan", 0.9))
    assert found["dcgan"].verdict == "undecided"
    assert "there is no arm none to compare with as well" in found["dcgan"].explanation
    assert found["oversample"].verdict == "undecided"


def test_only_seeds_with_the_same_split_are_compared():
    base = arm("none", 0.6, seeds=range(5))
    other = arm("oversample", 0.6, seeds=range(2, 8))
    found = verdicts(base, other)["oversample"]
    expected = compare(other.predictions[:3], base.predictions[2:], LABELS)
    assert found.pairs[0].comparison == expected
    apart = verdicts(base, arm("oversample", 0.6, split="another"))["oversample"]
    assert (apart.verdict, apart.pairs) == ("undecided", [])
    assert "no finished seed of the same split in common" in apart.explanation


def test_p_values_are_corrected_for_all_comparisons():
    arms = [arm("none", 0.70), arm("oversample", 0.72), arm("class_weight", 0.705), arm("dcgan", 0.69)]
    found = verdicts(*arms)
    pairs = [pair for said in found.values() for pair in said.pairs]
    assert len({(pair.arm, pair.against) for pair in pairs}) == len(pairs) == 4
    assert [pair.sign_flip_p_value for pair in pairs] == holm([pair.comparison.p_value for pair in pairs])
    alone = [compare(arms[n].predictions, arms[0].predictions, LABELS).interval_p_value for n in (1, 2)]
    assert [pair.comparison.interval_p_value for pair in pairs[:2]] == alone
    assert all(pair.interval_p_value >= pair.comparison.interval_p_value for pair in pairs)


def test_what_only_one_of_many_comparisons_shows_is_undecided():
    rng = np.random.default_rng(3)
    lucky = np.where(rng.random((6, len(LABELS))) < 0.737, LABELS, 1 - LABELS)
    base = np.where(rng.random((6, len(LABELS))) < 0.70, LABELS, 1 - LABELS)
    splits = {seed: str(seed) for seed in range(6)}
    arms = [Arm("none", splits, base, 0.7, False), Arm("dcgan", splits, lucky, 0.7, True)]
    assert judge(arms, LABELS, Question())[0].verdict == "helps"
    p_value = compare(lucky, base, LABELS).interval_p_value
    more = [Arm(f"simple{n}", splits, base, 0.1, False) for n in range(int(0.05 / p_value) + 1)]
    said = {found.arm: found for found in judge([*arms, *more], LABELS, Question())}["dcgan"]
    assert said.verdict == "undecided"
    assert "Alone it would say helps, but" in said.explanation
    assert "would settle it" in said.explanation


def test_margin_level_and_metric_reach_the_comparison():
    arms = arm("none", 0.70), arm("oversample", 0.70)
    assert verdicts(*arms, margin=0.2)["oversample"].verdict == "equivalent"
    assert "99% interval" in verdicts(*arms, level=0.99)["oversample"].explanation
    assert "macro f1" in verdicts(*arms, metric="macro_f1")["oversample"].explanation


def test_one_seed_is_undecided_whatever_the_difference():
    found = verdicts(arm("none", 0.5, seeds=[0]), arm("dcgan", 0.9, seeds=[0]))["dcgan"]
    assert found.verdict == "undecided"
    assert "One seed" in found.explanation


def test_the_leak_is_what_it_adds_to_the_gain():
    arms = [arm("none", 0.70), arm("dcgan", 0.71), arm("none@leak", 0.72), arm("dcgan@leak", 0.80)]
    (found,) = leak_effects(arms, LABELS, Question())
    assert (found.arm, found.against) == ("dcgan", "none")
    clean, leaky = (compare(arms[n + 1].predictions, arms[n].predictions, LABELS).difference for n in (0, 2))
    assert found.inflation == pytest.approx(leaky - clean)
    assert found.inflation > 0.04


def test_a_leak_needs_its_honest_twin_and_both_baselines():
    full = [arm("none", 0.70), arm("dcgan", 0.71), arm("none@leak", 0.72), arm("dcgan@leak", 0.80)]
    for missing in range(4):
        assert leak_effects([one for n, one in enumerate(full) if n != missing], LABELS, Question()) == []


def test_the_leak_of_an_augmented_arm_is_against_its_augmented_baseline_if_there_is_one():
    plain = [arm(f"{name}{leak}", 0.7) for leak in ("", "@leak") for name in ("none", "dcgan+traditional")]
    assert [found.against for found in leak_effects(plain, LABELS, Question())] == ["none"]
    augmented = [arm(f"none+traditional{leak}", 0.7) for leak in ("", "@leak")]
    assert [found.against for found in leak_effects(plain + augmented, LABELS, Question())] == ["none+traditional"]


def test_runs_without_a_study_are_asked_what_a_study_asks(read):
    study = read("train=study").train
    assert study.model_dump(include=set(Question.model_fields)) == Question().model_dump()
