"""Scores of predictions against scikit-learn, and their variance over images against resampling."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, average_precision_score, balanced_accuracy_score, f1_score, roc_auc_score

from fer_experiments.evaluation.comparison import compare
from fer_experiments.evaluation.scores import (
    METRIC_NAMES,
    RANKING_METRICS,
    score,
    score_with_influence,
    variance_over_images,
)
from tests.simulation import draw_uneven_arms

REFERENCES = {
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "macro_f1": lambda labels, predicted: f1_score(labels, predicted, average="macro", labels=np.unique(labels)),
}


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_scores_are_those_of_scikit_learn(metric):
    a, _, labels = draw_uneven_arms()
    expected = [REFERENCES[metric](labels, row) for row in a]
    np.testing.assert_allclose(score(a, labels, metric), expected)


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_a_class_without_images_does_not_count(metric):
    labels = np.array([0, 0, 2, 2])
    predictions = np.array([[0, 1, 2, 2]])
    expected = {"accuracy": 0.75, "balanced_accuracy": 0.75, "macro_f1": (2 / 3 + 1) / 2}
    assert score(predictions, labels, metric)[0] == pytest.approx(expected[metric])


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_variance_over_images_is_that_of_newly_drawn_images(metric):
    """Compare with the bootstrap within each class; drawing one image less makes it unbiased."""
    a, b, labels = (array[:1] if array.ndim == 2 else array for array in draw_uneven_arms())
    rng = np.random.default_rng(0)
    differences = []
    for _ in range(3000):
        places = np.concatenate(
            [rng.choice(np.flatnonzero(labels == label), (labels == label).sum() - 1) for label in range(7)]
        )
        difference = score(a[:, places], labels[places], metric) - score(b[:, places], labels[places], metric)
        differences.append(float(difference[0]))
    comparison = compare(a, b, labels, metric)
    quantile = stats.t.ppf(0.975, len(labels) - 7)
    assert (comparison.high - comparison.low) / 2 / quantile == pytest.approx(np.std(differences), rel=0.1)


RANKING_REFERENCES = {"auroc": roc_auc_score, "average_precision": average_precision_score}


def draw_class_scores(seeds: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Draw scores (S, 300, 7), some of them equal, and labels (300,) of 7 uneven classes."""
    rng, (_, _, labels) = np.random.default_rng(5), draw_uneven_arms()
    scores = rng.normal(size=(seeds, len(labels), 7))
    scores[:, np.arange(len(labels)), labels] += 1
    return scores.round(1), labels


@pytest.mark.parametrize("metric", RANKING_METRICS)
def test_ranking_metrics_are_those_of_scikit_learn(metric):
    scores, labels = draw_class_scores()
    reference = RANKING_REFERENCES[metric]
    expected = [np.mean([reference(labels == label, row[:, label]) for label in range(7)]) for row in scores]
    np.testing.assert_allclose(score(scores, labels, metric), expected)


@pytest.mark.parametrize("metric", RANKING_METRICS)
def test_influence_is_what_a_score_gains_with_an_images_weight(metric):
    """Compare with scikit-learn's weights. The influence of a class is known up to what all of its images share."""
    scores, labels = draw_class_scores(seeds=1)
    influence = score_with_influence(scores, labels, metric)[1][0]
    reference, step = RANKING_REFERENCES[metric], 1e-5

    def weighted(place: int) -> float:
        weights = np.ones(len(labels))
        weights[place] += step
        return float(np.mean([reference(labels == c, scores[0][:, c], sample_weight=weights) for c in range(7)]))

    base = score(scores, labels, metric)[0]
    for label in (0, 6):
        members = np.flatnonzero(labels == label)[:8]
        gains = np.array([(weighted(place) - base) / step for place in members])
        np.testing.assert_allclose(gains - gains.mean(), influence[members] - influence[members].mean(), atol=2e-5)


def test_the_variance_of_a_difference_in_auroc_is_delongs():
    """DeLong et al. (1988) by its definition: the covariances of the placements of both classes."""
    rng, labels = np.random.default_rng(0), np.repeat([0, 1], [40, 60])
    a, b = (rng.normal(size=100) + gain * labels for gain in (1.0, 1.4))
    placements = []
    for values in (a, b):
        wins = (values[labels == 1][:, None] > values[labels == 0]).astype(float)
        placements.append((wins.mean(1), wins.mean(0)))
    (pos_a, neg_a), (pos_b, neg_b) = placements
    expected = np.var(pos_a - pos_b, ddof=1) / 60 + np.var(neg_a - neg_b, ddof=1) / 40
    both = [np.stack([-values, values], 1)[None] for values in (a, b)]
    influences = [score_with_influence(each, labels, "auroc")[1][0] for each in both]
    assert variance_over_images(influences[0] - influences[1], labels) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("predictions", "labels", "message"),
    [
        (np.zeros((2, 4)), np.array([0, 0, 1, 1]), r"predictions \(2, 4\).*scores \(seeds, images, classes\)"),
        (np.full((2, 4, 2), np.nan), np.array([0, 0, 1, 1]), "must be finite"),
        (np.zeros((2, 4, 2)), np.array([0, 0, 0, 0]), "two or more of 2 classes"),
        (np.zeros((2, 4, 2)), np.array([0, 0, 1, 2]), "two or more of 2 classes"),
    ],
)
def test_scores_of_classes_that_do_not_fit_are_refused(predictions, labels, message):
    with pytest.raises(ValueError, match=message):
        score(predictions, labels, "auroc")


@pytest.mark.parametrize("metric", RANKING_METRICS)
def test_arms_are_compared_by_ranking_whatever_their_threshold(metric):
    scores, labels = draw_class_scores(seeds=5)
    better = scores.copy()
    better[:, np.arange(len(labels)), labels] += 1
    assert compare(better, scores, labels, metric).verdict == "helps"
    shifted = scores + np.arange(7)
    assert compare(shifted, scores, labels, metric).difference == 0
