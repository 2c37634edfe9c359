"""The verdict's arithmetic: by hand, against scikit-learn, against resampling, and at its edges."""

import itertools
import re

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from fer_experiments.evaluation import statistics
from fer_experiments.evaluation.statistics import METRICS, compare, estimate, holm, score, sign_flip_p_value
from tests.simulation import simulate

REFERENCES = {
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "macro_f1": lambda labels, found: f1_score(labels, found, average="macro", labels=np.unique(labels)),
}


def noisy(rng: np.random.Generator, labels: np.ndarray, seeds: int, right: float, classes: int) -> np.ndarray:
    keep = rng.random((seeds, len(labels))) < right
    return np.where(keep, labels, rng.integers(0, classes, (seeds, len(labels))))


@pytest.fixture
def seven() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two arms of 4 seeds on 300 images of 7 uneven classes."""
    rng = np.random.default_rng(3)
    labels = rng.choice(7, 300, p=[0.3, 0.25, 0.2, 0.1, 0.07, 0.05, 0.03])
    return noisy(rng, labels, 4, 0.7, 7), noisy(rng, labels, 4, 0.5, 7), labels


# ---- scores


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_those_of_scikit_learn(seven, metric):
    a, _, labels = seven
    expected = [REFERENCES[metric](labels, row) for row in a]
    np.testing.assert_allclose(score(a, labels, metric), expected)


@pytest.mark.parametrize("metric", METRICS)
def test_a_class_without_images_does_not_count(metric):
    labels = np.array([0, 0, 2, 2])
    found = np.array([[0, 1, 2, 2]])
    expected = {"accuracy": 0.75, "balanced_accuracy": 0.75, "macro_f1": (2 / 3 + 1) / 2}
    assert score(found, labels, metric)[0] == pytest.approx(expected[metric])


# ---- variances


@pytest.mark.parametrize("metric", METRICS)
def test_variance_over_images_is_that_of_images_drawn_anew(seven, metric):
    """Against the bootstrap within each class, of one image less, which makes it unbiased."""
    a, b, labels = (array[:1] if array.ndim == 2 else array for array in seven)
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(3000):
        places = np.concatenate(
            [rng.choice(np.flatnonzero(labels == name), (labels == name).sum() - 1) for name in range(7)]
        )
        drawn.append(
            float((score(a[:, places], labels[places], metric) - score(b[:, places], labels[places], metric))[0])
        )
    found = compare(a, b, labels, metric)
    quantile = stats.t.ppf(0.975, len(labels) - 7)
    assert (found.high - found.low) / 2 / quantile == pytest.approx(np.std(drawn), rel=0.1)


def test_parts_of_the_variance_are_those_of_the_model():
    """Accuracy of 0/1 outcomes with seed and image effects whose variances are known."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(300):
        share = 0.7 + rng.choice([-0.05, 0.05], (6, 1)) + rng.choice([-0.2, 0.2], 200)
        right = rng.random((6, 200)) < share
        one = estimate(np.where(right, 0, 1), np.zeros(200, dtype=int), "accuracy")
        spread = one.spread
        found.append((spread.by_seeds - spread.both, spread.by_images - spread.both, spread.both))
    seed, image = 0.05**2 / 6, 0.2**2 / 200
    joint = (0.7 * 0.3 - 0.05**2 - 0.2**2) / 6 / 200
    np.testing.assert_allclose(np.mean(found, axis=0), [seed, image, joint], rtol=0.12)


def test_more_seeds_never_outdo_a_small_test_set():
    """The width tends to that of the images' sampling, not to 0."""
    rng = np.random.default_rng(1)
    few, many = (compare(*simulate(rng, seeds, 200)) for seeds in (10, 400))
    assert many.high - many.low > 0.4 * (few.high - few.low)
    assert many.high - many.low > 0.02


# ---- p-values and counts


def test_sign_flip_is_exact():
    differences = np.array([0.02, 0.01, -0.005, 0.03])
    means = [np.mean(differences * signs) for signs in itertools.product([1, -1], repeat=4)]
    assert sign_flip_p_value(differences) == np.mean(np.abs(means) >= differences.mean() - 1e-12)


@pytest.mark.parametrize(("seeds", "p_value"), [(1, 1.0), (3, 0.25), (5, 2 / 32), (10, 2 / 1024)])
def test_the_smallest_sign_flip_p_value(seeds, p_value):
    assert sign_flip_p_value(np.linspace(0.01, 0.02, seeds)) == pytest.approx(p_value)


def test_sign_flips_of_many_seeds_are_drawn_by_seed():
    differences = np.random.default_rng(0).normal(0.5, 1, 25)
    assert sign_flip_p_value(differences, seed=1) == sign_flip_p_value(differences, seed=1)
    assert sign_flip_p_value(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.01)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_counts_of_fixed_and_broken_images_and_outperforming():
    labels = np.zeros(4, dtype=int)
    a = np.array([[0, 0, 0, 1], [0, 1, 1, 1], [0, 0, 1, 1]])
    b = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [0, 1, 0, 1]])
    found = compare(a, b, labels, "accuracy")
    assert (found.fixed, found.broken) == (pytest.approx(1.0), pytest.approx(1.0))
    assert found.probability_of_outperforming == pytest.approx((1 + 0 + 0.5) / 3)


# ---- verdicts


def test_a_clear_gain_helps_and_its_mirror_hurts():
    a, b, labels = simulate(np.random.default_rng(0), 10, 1400, effect=0.08)
    gain, loss = compare(a, b, labels), compare(b, a, labels)
    assert (gain.verdict, loss.verdict) == ("helps", "hurts")
    assert (gain.difference, gain.low) == (pytest.approx(-loss.difference), pytest.approx(-loss.high))
    assert gain.p_value == loss.p_value == pytest.approx(2 / 1024)
    assert "10 seeds and 1,400 test images" in gain.explanation


@pytest.mark.parametrize(("images", "verdict"), [(200, "undecided"), (1400, "equivalent")])
def test_the_same_predictions_are_equivalent_on_enough_images(images, verdict):
    a, _, labels = simulate(np.random.default_rng(0), 5, images)
    found = compare(a, a, labels)
    assert (found.verdict, found.difference, found.p_value, found.interval_p_value) == (verdict, 0, 1, 1)
    assert found.high == -found.low == pytest.approx(3.7 / images, rel=0.02)  # exactly: Clopper and Pearson's 0 of n


def test_arms_that_differ_by_the_margin_are_not_said_to_be_equivalent():
    """One image in 200 is too hard for B alone; 37 % of test sets have none such."""
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    studies = [np.tile(np.where(rng.random(200) < 0.005, 1 - labels, labels), (3, 1)) for _ in range(100)]
    found = [compare(np.tile(labels, (3, 1)), b, labels, margin=0.005).verdict for b in studies]
    assert found.count("equivalent") <= 5


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1"])
def test_one_image_of_a_class_decides_nothing(metric):
    labels = np.array([0] + [1] * 199)
    wrong = labels.copy()
    wrong[0] = 1
    found = compare(np.tile(labels, (5, 1)), np.tile(wrong, (5, 1)), labels, metric)
    assert found.verdict == "undecided"
    assert compare(np.tile(labels, (5, 1)), np.tile(wrong, (5, 1)), labels, "accuracy").verdict == "undecided"


def test_an_arms_interval_ends_where_scores_end():
    labels = np.arange(200) % 2
    right, wrong = (estimate(np.tile(row, (3, 1)), labels) for row in (labels, 1 - labels))
    assert (right.low, right.high) == (pytest.approx(1 - 3.7 / 200, abs=1e-3), 1)
    assert (wrong.low, wrong.high) == (0, pytest.approx(3.7 / 200, abs=1e-3))


def test_an_interval_within_the_margin_is_equivalent_even_where_it_leaves_out_0():
    a, b, labels = simulate(np.random.default_rng(0), 10, 1400, effect=0.08)
    assert compare(a, b, labels, margin=0.3).verdict == "equivalent"


def test_undecided_says_what_would_settle_it():
    a, b, labels = simulate(np.random.default_rng(2), 5, 200, effect=0.02)
    found = compare(a, b, labels)
    assert found.verdict == "undecided"
    assert re.search(r": about [\d,]+ seeds together with [\d,]+ test images would settle it", found.explanation)


def test_the_advice_settles_it_where_the_difference_stays():
    """With as many seeds as advised, the interval of a like study leaves out 0 in about four cases of five."""
    rng = np.random.default_rng(4)
    undecided = next(
        found for found in (compare(*simulate(rng, 5, 1400, effect=0.02)) for _ in range(50))
        if found.verdict == "undecided" and 0.018 < found.difference < 0.022
    )  # fmt: skip
    seeds = int(undecided.explanation.split("about ")[1].split()[0].replace(",", ""))
    decided = [compare(*simulate(rng, seeds, 1400, effect=0.02)).verdict == "helps" for _ in range(30)]
    assert 5 < seeds < 40
    assert np.mean(decided) > 0.6


def test_where_seeds_can_not_settle_it_images_are_asked_for():
    labels = np.zeros(20, dtype=int)
    rng = np.random.default_rng(0)
    a, b = (np.tile(rng.integers(0, 2, 20), (10, 1)) for _ in range(2))
    a[0, 0] = 1 - a[0, 0]
    found = compare(a, b, labels, "accuracy")
    assert found.verdict == "undecided"
    assert re.search(r": about [\d,]+ test images would settle it", found.explanation)


def test_one_seed_speaks_of_images_alone():
    a, b, labels = simulate(np.random.default_rng(0), 1, 1400, effect=0.2)
    found = compare(a, b, labels)
    assert (found.verdict, found.p_value) == ("undecided", 1.0)
    assert found.low > 0
    assert "One seed" in found.explanation
    assert "McNemar" in found.explanation
    assert "another training" in found.explanation


def test_resolvable_is_a_difference_that_four_of_five_studies_show():
    rng = np.random.default_rng(0)
    resolvable = np.mean([compare(*simulate(rng, 10, 400)).resolvable for _ in range(20)])
    shown = [compare(*simulate(rng, 10, 400, effect=resolvable)).verdict == "helps" for _ in range(200)]
    assert 0.68 < np.mean(shown) < 0.92


def test_a_metric_by_name_and_a_level_change_the_interval(seven):
    a, b, labels = seven
    wide, narrow = compare(a, b, labels, level=0.99), compare(a, b, labels, level=0.8)
    assert wide.high - wide.low > narrow.high - narrow.low
    assert "99% interval" in wide.explanation
    assert "macro f1" in compare(a, b, labels, metric="macro_f1").explanation


def test_an_arms_interval_holds_its_mean(seven):
    a, _, labels = seven
    found = estimate(a, labels)
    assert found.low < found.mean < found.high
    assert found.mean == pytest.approx(np.mean([balanced_accuracy_score(labels, row) for row in a]))


GOOD = np.zeros((2, 3), dtype=int)


@pytest.mark.parametrize(
    ("a", "b", "labels", "keys", "said"),
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
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(a, b, labels, keys, said):
    with pytest.raises(ValueError, match=said):
        compare(a, b, labels, **keys)


def test_one_image_a_class_is_no_error():
    found = compare(np.array([[0, 1], [0, 1]]), np.array([[1, 0], [1, 0]]), np.array([0, 1]))
    assert found.difference == 1
    assert np.isfinite([found.low, found.high, found.resolvable]).all()


def test_the_statistics_need_no_torch():
    assert "torch" not in vars(statistics)
