"""Metrics against numbers worked by hand, and against scikit-learn's."""

import json
import math

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from fer_experiments.evaluation.metrics import classification_metrics, validation_metrics
from fer_experiments.evaluation.scores import METRIC_NAMES, score


def logits_for(predicted: list[int], classes: int = 2) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(predicted), classes) * 4.0


def test_numbers_by_hand():
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    metrics = classification_metrics(logits_for([0, 0, 0, 1, 1, 0]), labels, ["angry", "happy"])
    right, wrong = math.log(1 + math.exp(-4)), math.log(1 + math.exp(4))
    assert metrics["accuracy"] == pytest.approx(4 / 6)
    assert metrics["recall"] == pytest.approx({"angry": 3 / 4, "happy": 1 / 2})
    assert metrics["balanced_accuracy"] == pytest.approx(5 / 8)
    assert metrics["loss"] == pytest.approx((4 * right + 2 * wrong) / 6)
    assert metrics["confusion"] == [[3, 1], [1, 1]]
    assert metrics["images"] == 6


def test_always_predicting_the_majority_has_half_the_balanced_accuracy():
    metrics = classification_metrics(logits_for([1] * 100), torch.tensor([0] * 5 + [1] * 95), ["a", "b"])
    assert metrics["accuracy"] == pytest.approx(0.95)
    assert metrics["balanced_accuracy"] == pytest.approx(0.5)


def test_confusion_rows_are_the_true_classes():
    metrics = classification_metrics(logits_for([2, 2, 0], 3), torch.tensor([0, 1, 0]), ["a", "b", "c"])
    assert metrics["confusion"] == [[1, 0, 1], [0, 0, 1], [0, 0, 0]]


def test_order_of_images_does_not_matter():
    torch.manual_seed(0)
    logits, labels = torch.randn(50, 3), torch.arange(50) % 3
    order = torch.randperm(50)
    first = classification_metrics(logits, labels, ["a", "b", "c"])
    second = classification_metrics(logits[order], labels[order], ["a", "b", "c"])
    assert first["loss"] == pytest.approx(second["loss"])
    assert first["confusion"] == second["confusion"]


@pytest.fixture(params=[2, 4])
def mediocre(request):
    """Logits that are neither good nor bad, labels that have all classes, and the classes."""
    generator = torch.Generator().manual_seed(request.param)
    labels = torch.arange(200) ** 2 % request.param if request.param == 2 else torch.arange(200) % 4
    labels[:120] = 0
    return 2 * torch.randn(200, request.param, generator=generator), labels, list("abcd"[: request.param])


def test_all_metrics_agree_with_scikit_learn(mediocre):
    logits, labels, classes = mediocre
    metrics = classification_metrics(logits, labels, classes)
    predicted, probabilities = logits.argmax(1).numpy(), logits.double().softmax(1).numpy()
    ranking = probabilities[:, 1] if len(classes) == 2 else probabilities
    recall, precision = (
        function(labels, predicted, average=None) for function in (sk.recall_score, sk.precision_score)
    )
    assert metrics["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted))
    assert metrics["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(labels, predicted))
    assert metrics["macro_f1"] == pytest.approx(sk.f1_score(labels, predicted, average="macro"))
    assert metrics["auroc"] == pytest.approx(sk.roc_auc_score(labels, ranking, multi_class="ovr"))
    one_against_rest = np.eye(len(classes))[labels]
    precisions = [sk.average_precision_score(one_against_rest[:, k], probabilities[:, k]) for k in range(len(classes))]
    assert metrics["average_precision"] == pytest.approx(np.mean(precisions))
    assert metrics["loss"] == pytest.approx(sk.log_loss(labels, probabilities))
    assert list(metrics["recall"].values()) == pytest.approx(recall.tolist())
    assert list(metrics["precision"].values()) == pytest.approx(precision.tolist())
    assert metrics["confusion"] == sk.confusion_matrix(labels, predicted).tolist()


def test_ece_agrees_with_torchmetrics(mediocre):
    logits, labels, classes = mediocre
    expected = multiclass_calibration_error(logits.softmax(1), labels, len(classes), n_bins=15, norm="l1")
    assert classification_metrics(logits, labels, classes)["ece"] == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("labels", [[0, 0, 1, 2, 2, 1], [0, 0, 2, 2, 2, 2], [1, 1, 1, 1, 1, 1]])
def test_metrics_agree_with_the_scores_of_comparisons_even_if_classes_are_absent(labels):
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    metrics = classification_metrics(logits, torch.tensor(labels), ["a", "b", "c"])
    for name in METRIC_NAMES:
        (expected,) = score(logits.argmax(1).numpy()[None], np.array(labels), name)
        assert metrics[name] == pytest.approx(expected), name


def test_an_undefined_metric_is_none_and_fits_json():
    metrics = classification_metrics(logits_for([0, 0, 1], 3), torch.tensor([0, 0, 0]), ["a", "b", "c"])
    assert metrics["recall"] == {"a": pytest.approx(2 / 3), "b": None, "c": None}
    assert metrics["precision"] == {"a": 1.0, "b": 0.0, "c": None}  # c was never predicted
    assert metrics["auroc"] is None
    assert metrics["balanced_accuracy"] == pytest.approx(2 / 3)
    json.dumps(metrics, allow_nan=False)
    absent = classification_metrics(logits_for([0, 1, 1, 0], 3), torch.tensor([0, 0, 1, 1]), ["a", "b", "c"])
    assert absent["auroc"] == pytest.approx(0.5)  # over a and b
    broken = classification_metrics(torch.full((2, 2), math.nan), torch.tensor([0, 1]), ["a", "b"])
    assert (broken["loss"], broken["auroc"], broken["ece"]) == (None, None, None)
    json.dumps(broken, allow_nan=False)


def test_perfect_predictions_are_perfect_in_everything():
    labels = torch.tensor([0, 1, 2, 2])
    metrics = classification_metrics(logits_for(labels.tolist(), 3) * 100, labels, ["a", "b", "c"])
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "average_precision"):
        assert metrics[name] == 1, name
    assert metrics["loss"] == pytest.approx(0)
    assert metrics["ece"] == pytest.approx(0)
    assert set(metrics["recall"].values()) == set(metrics["precision"].values()) == {1.0}


def test_a_constant_prediction_ranks_nothing_and_its_ece_is_its_gap():
    logits = torch.tensor([[math.log(3), 0.0]]).repeat(10, 1)  # 75% sure of the first class
    metrics = classification_metrics(logits, torch.tensor([0] * 6 + [1] * 4), ["a", "b"])
    assert metrics["auroc"] == pytest.approx(0.5)
    assert metrics["ece"] == pytest.approx(0.75 - 0.6)
    assert metrics["macro_f1"] == pytest.approx((2 * 6 / 16 + 0) / 2)


def test_auroc_tells_images_apart_whose_probability_is_1_in_float32():
    logits = torch.tensor([[30.0, 0.0], [25.0, 0.0], [22.0, 0.0], [20.0, 0.0]])
    assert classification_metrics(logits, torch.tensor([0, 0, 1, 1]), ["a", "b"])["auroc"] == 1


def test_order_of_classes_does_not_matter(mediocre):
    logits, labels, classes = mediocre
    order = torch.arange(len(classes)).flip(0)
    first = classification_metrics(logits, labels, classes)
    second = classification_metrics(logits[:, order], order[labels], classes[::-1])
    for name in ("accuracy", "balanced_accuracy", "loss", "macro_f1", "auroc", "average_precision", "ece", "recall"):
        assert second[name] == pytest.approx(first[name]), name


def test_validation_metrics_are_those_of_the_end(mediocre):
    logits, labels, classes = mediocre
    cheap, full = validation_metrics(logits, labels), classification_metrics(logits, labels, classes)
    assert cheap == {name: full[name] for name in ("accuracy", "balanced_accuracy", "loss")}
