"""Comparisons of two arms: counts, verdicts, explanations and refused arguments."""

import numpy as np
import pytest

from fer_experiments.evaluation import arm_comparisons, comparison, intervals, p_values, scores, study_size, verdict
from fer_experiments.evaluation.comparison import compare
from tests.simulation import draw_uneven_arms, simulate


def test_counts_of_fixed_and_broken_images_and_outperforming():
    labels = np.zeros(4, dtype=int)
    a = np.array([[0, 0, 0, 1], [0, 1, 1, 1], [0, 0, 1, 1]])
    b = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1]])
    result = compare(a, b, labels, "accuracy")
    assert (result.fixed, result.broken) == (pytest.approx(1.0), pytest.approx(1.0))
    assert result.probability_of_outperforming == pytest.approx((1 + 0 + 0.5) / 3)


def test_a_clear_gain_helps_and_its_mirror_hurts():
    a, b, labels = simulate(np.random.default_rng(0), 10, 1400, effect=0.08)
    gain, loss = compare(a, b, labels), compare(b, a, labels)
    assert (gain.verdict, loss.verdict) == ("helps", "hurts")
    assert (gain.difference, gain.low) == (pytest.approx(-loss.difference), pytest.approx(-loss.high))
    assert gain.p_value == loss.p_value == pytest.approx(2 / 1024)
    assert "10 seeds and 1,400 test images" in gain.explanation


@pytest.mark.parametrize(("images", "expected"), [(200, "undecided"), (1400, "equivalent")])
def test_the_same_predictions_are_equivalent_on_enough_images(images, expected):
    a, _, labels = simulate(np.random.default_rng(0), 5, images)
    result = compare(a, a, labels)
    assert (result.verdict, result.difference, result.p_value, result.interval_p_value) == (expected, 0, 1, 1)
    assert result.high == -result.low == pytest.approx(3.7 / images, rel=0.02)  # exactly: Clopper and Pearson's 0 of n


@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 9])
def test_fewer_than_five_seeds_are_never_equivalent(seeds):
    a, _, labels = simulate(np.random.default_rng(0), seeds, 1400)
    result = compare(a, a, labels)
    assert result.verdict == ("equivalent" if seeds >= 5 else "undecided")
    assert ("within 0.5 points either way, but fewer than 5 seeds" in result.explanation) == (seeds < 5)


@pytest.mark.parametrize("seeds", [3, 8])
def test_arms_that_predict_one_class_are_not_equivalent(seeds):
    labels = np.arange(1362) % 2
    constant = np.zeros((seeds, 1362), dtype=int)
    assert compare(constant, constant, labels).verdict == "undecided"
    good = np.tile(labels, (8, 1))
    collapsed = good.copy()
    collapsed[0] = 0
    assert compare(good, good, labels, margin=0.9).verdict == "equivalent"
    assert "a single class" in compare(collapsed, good, labels, margin=0.9).explanation


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_copies_of_an_image_tell_no_more_than_the_image(metric):
    a, b, labels = simulate(np.random.default_rng(0), 6, 300, effect=0.03)
    once = compare(a, b, labels, metric)
    copies = [np.concatenate([each, each, each], axis=-1) for each in (a, b, labels)]
    counted_once = compare(*copies, metric, clusters=np.tile(np.arange(300), 3))
    assert (counted_once.low, counted_once.high) == pytest.approx((once.low, once.high))
    assert compare(*copies, metric).high < once.high
    alone = compare(a, b, labels, metric, clusters=np.arange(300))
    assert (alone.low, alone.high) == pytest.approx((once.low, once.high))


def test_few_images_of_one_class_can_decide_if_they_agree():
    """Ten images whose differences are alike tell more than that at least one of them is too hard for both arms."""
    labels = np.repeat([0, 1], [190, 10])
    rng = np.random.default_rng(1)
    a, b = (np.where(rng.random((10, 200)) < share, labels, 1 - labels) for share in (0.9, 0.6))
    assert compare(a, b, labels).verdict == "helps"


def test_arms_that_differ_by_the_margin_are_not_said_to_be_equivalent():
    """One image in 200 is too hard for B alone; 37% of test sets have no such image."""
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    studies = [np.tile(np.where(rng.random(200) < 0.005, 1 - labels, labels), (3, 1)) for _ in range(100)]
    verdicts = [compare(np.tile(labels, (3, 1)), b, labels, margin=0.005).verdict for b in studies]
    assert verdicts.count("equivalent") <= 5


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_one_image_of_a_class_decides_nothing(metric):
    labels = np.array([0] + [1] * 199)
    wrong = labels.copy()
    wrong[0] = 1
    assert compare(np.tile(labels, (5, 1)), np.tile(wrong, (5, 1)), labels, metric).verdict == "undecided"
    assert compare(np.tile(labels, (5, 1)), np.tile(wrong, (5, 1)), labels, "accuracy").verdict == "undecided"


def test_an_interval_within_the_margin_is_equivalent_even_if_it_leaves_out_0():
    a, b, labels = simulate(np.random.default_rng(0), 10, 1400, effect=0.08)
    assert compare(a, b, labels, margin=0.3).verdict == "equivalent"


def test_one_seed_speaks_of_images_alone():
    a, b, labels = simulate(np.random.default_rng(0), 1, 1400, effect=0.2)
    result = compare(a, b, labels)
    assert (result.verdict, result.p_value) == ("undecided", 1.0)
    assert result.low > 0
    assert "One seed" in result.explanation
    assert "McNemar" in result.explanation
    assert "another training" in result.explanation


def test_a_metric_by_name_and_a_level_change_the_interval():
    a, b, labels = draw_uneven_arms()
    wide, narrow = compare(a, b, labels, level=0.99), compare(a, b, labels, level=0.8)
    assert wide.high - wide.low > narrow.high - narrow.low
    assert "99% interval" in wide.explanation
    assert "macro F1" in compare(a, b, labels, metric="macro_f1").explanation


GOOD = np.zeros((2, 3), dtype=int)


@pytest.mark.parametrize(
    ("a", "b", "labels", "keys", "message"),
    [
        (GOOD, GOOD[:1], GOOD[0], {}, "differ in shape"),
        (GOOD[0], GOOD[0], GOOD[0], {}, "must be \\(seeds, images\\)"),
        (GOOD, GOOD, GOOD[0, :2], {}, "must be \\(seeds, images\\)"),
        (GOOD[:, :0], GOOD[:, :0], GOOD[0, :0], {}, "not empty"),
        (GOOD + 0.5, GOOD, GOOD[0], {}, "class indices"),
        (GOOD - 1, GOOD, GOOD[0], {}, "class indices"),
        (GOOD, GOOD, GOOD[0], {"metric": "loss"}, "metric=loss"),
        (GOOD, GOOD, GOOD[0], {"margin": -0.1}, "margin=-0.1"),
        (GOOD, GOOD, GOOD[0], {"margin": float("nan")}, "margin=nan"),
        (GOOD, GOOD, GOOD[0], {"level": 1.0}, "level=1.0"),
        (GOOD, GOOD, GOOD[0], {"clusters": GOOD[0, :2]}, "clusters \\(2,\\): must be one number for each of 3 images"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_refused(a, b, labels, keys, message):
    with pytest.raises(ValueError, match=message):
        compare(a, b, labels, **keys)


def test_one_image_a_class_is_no_error():
    result = compare(np.array([[0, 1], [0, 1]]), np.array([[1, 0], [1, 0]]), np.array([0, 1]))
    assert result.difference == 1
    assert np.isfinite([result.low, result.high, result.resolvable]).all()


@pytest.mark.parametrize("module", [arm_comparisons, comparison, intervals, p_values, scores, study_size, verdict])
def test_the_statistics_need_no_torch(module):
    assert "torch" not in vars(module)
