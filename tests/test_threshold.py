"""classifier.threshold=balanced: the shift, and how predictions and what is measured on validation come to it."""

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from fer_experiments.classifier.trained import TrainedClassifier
from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.evaluation.result import Result
from fer_experiments.evaluation.threshold import cross_fit, fit_shift


def draw(counts: list[int], bias: list[float], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits that know the class in part and prefer classes by `bias`, and labels, so many of each class."""
    labels = np.repeat(np.arange(len(counts)), counts)
    logits = np.random.default_rng(seed).normal(size=(len(labels), len(counts)))
    logits[np.arange(len(labels)), labels] += 1.5
    return logits + np.array(bias), labels


@pytest.mark.parametrize(("counts", "bias"), [([300, 300], [4, 0]), ([900, 100, 300], [3, 0, -2])])
def test_the_shift_takes_back_what_a_classifier_prefers(counts, bias):
    logits, labels = draw(counts, bias)
    shift = fit_shift(logits, labels)
    assert shift.mean() == pytest.approx(0, abs=1e-6)
    assert shift - shift[0] == pytest.approx(-(np.array(bias) - bias[0]), abs=0.4)
    balanced = balanced_accuracy_score(labels, (logits + shift).argmax(1))
    assert balanced > balanced_accuracy_score(labels, logits.argmax(1)) + 0.05


def test_at_the_shift_the_mean_probability_of_each_class_is_the_same():
    """The gradient is zero there: in the mean over the classes' images every class has the probability 1 / K."""
    logits, labels = draw([200, 30, 7], [2, 0, 0])
    probabilities = torch.tensor(logits + fit_shift(logits, labels)).softmax(1).numpy()
    means = np.mean([probabilities[labels == label].mean(0) for label in range(3)], axis=0)
    assert means == pytest.approx([1 / 3] * 3, abs=1e-3)


def test_balanced_logits_stay():
    logits, labels = draw([4000, 4000], [0, 0])
    assert fit_shift(logits, labels) == pytest.approx([0, 0], abs=0.05)


def test_a_class_without_images_is_not_shifted():
    logits, labels = draw([50, 0, 20], [1, 0, 0])
    assert fit_shift(logits, labels)[1] == 0


@pytest.mark.parametrize("logits", [np.full((4, 2), np.nan), np.full((4, 2), np.inf)])
def test_logits_that_are_not_finite_are_not_shifted(logits):
    assert fit_shift(logits, np.array([0, 0, 1, 1])).tolist() == [0, 0]


def test_a_single_class_is_not_shifted():
    assert fit_shift(np.ones((3, 2)), np.zeros(3, dtype=int)).tolist() == [0, 0]


def test_cross_fitting_shifts_no_image_by_its_own_label():
    """An image whose label changes is shifted as before: its own fold has no part in it. The others' folds notice."""
    logits, labels = draw([40, 40], [2, 0])
    shifted = cross_fit(logits, labels)
    shifts = (shifted - logits)[:, 0]
    assert len(np.unique(shifts.round(9))) == 5
    assert np.abs(shifts - fit_shift(logits, labels)[0]).max() < 0.5


def test_noise_gains_nothing_by_cross_fitting():
    """On logits that know nothing, a shift fitted on the same images seems to help; a cross-fitted one does not."""
    rng, inside, outside = np.random.default_rng(0), [], []
    for _ in range(200):
        logits, labels = rng.normal([1, 0], size=(20, 2)), np.repeat([0, 1], [14, 6])
        inside.append(balanced_accuracy_score(labels, (logits + fit_shift(logits, labels)).argmax(1)))
        outside.append(balanced_accuracy_score(labels, cross_fit(logits, labels).argmax(1)))
    assert np.mean(outside) < 0.51
    assert np.mean(inside) >= np.mean(outside)


def test_a_class_with_one_image_can_t_be_cross_fitted():
    logits, labels = draw([9, 1], [2, 0])
    assert np.array_equal(cross_fit(logits, labels), logits)


@pytest.fixture(scope="module")
def folders(run_once):
    """A training without and with the threshold; the classifier is the same."""
    arguments = ("train=cnn", "classifier.checkpoint=last", "data.imbalance=4", "data.counts={angry: 20, happy: 20}")
    return run_once(*arguments), run_once(*arguments, "classifier.threshold=balanced")


def test_test_logits_are_shifted_by_one_vector_and_rank_as_before(folders):
    plain, shifted = (Predictions.load(folder, "test") for folder in folders)
    shifts = shifted.logits - plain.logits
    assert shifts == pytest.approx(np.broadcast_to(shifts[0], shifts.shape), abs=1e-5)
    valid = Predictions.load(folders[0], "valid")
    assert shifts[0] == pytest.approx(fit_shift(valid.logits, valid.labels), abs=1e-4)
    aurocs = [roc_auc_score(each.labels, each.logits[:, 1] - each.logits[:, 0]) for each in (plain, shifted)]
    assert aurocs[0] == pytest.approx(aurocs[1])


def test_validation_is_measured_with_cross_fitted_shifts(folders):
    plain, shifted = (Predictions.load(folder, "valid") for folder in folders)
    assert shifted.logits == pytest.approx(cross_fit(plain.logits, plain.labels), abs=1e-5)
    recorded = Result.load(folders[1]).metrics["valid"]["balanced_accuracy"]
    assert recorded == pytest.approx(balanced_accuracy_score(shifted.labels, shifted.predicted))


def test_the_checkpoint_predicts_as_the_training_did(folders):
    plain, shifted = (TrainedClassifier.load(folder / "checkpoints" / "last.ckpt") for folder in folders)
    assert plain.shift is None
    difference = Predictions.load(folders[1], "test").logits[0] - Predictions.load(folders[0], "test").logits[0]
    assert shifted.shift.numpy() == pytest.approx(difference, abs=1e-5)
