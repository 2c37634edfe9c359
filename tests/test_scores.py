"""Scores of predictions against scikit-learn, and their variance over images against resampling."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from fer_experiments.evaluation.comparison import compare
from fer_experiments.evaluation.scores import METRIC_NAMES, score
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
