"""Metrics against numbers worked by hand, and against scikit-learn's."""

import json
import math

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from fer_experiments.evaluation.calibration import expected_calibration_error, reliability
from fer_experiments.evaluation.metrics import classification_metrics, validation_metrics
from fer_experiments.evaluation.statistics import METRICS, score


def logits_for(predicted: list[int], classes: int = 2) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(predicted), classes) * 4.0


def test_numbers_by_hand():
    labels = torch.tensor([0, 0, 0, 0, 1, 1])
    found = classification_metrics(logits_for([0, 0, 0, 1, 1, 0]), labels, ["angry", "happy"])
    right, wrong = math.log(1 + math.exp(-4)), math.log(1 + math.exp(4))
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["recall"] == pytest.approx({"angry": 3 / 4, "happy": 1 / 2})
    assert found["balanced_accuracy"] == pytest.approx(5 / 8)
    assert found["loss"] == pytest.approx((4 * right + 2 * wrong) / 6)
    assert found["confusion"] == [[3, 1], [1, 1]]
    assert found["images"] == 6


def test_always_the_majority_is_half_right_in_balance():
    found = classification_metrics(logits_for([1] * 100), torch.tensor([0] * 5 + [1] * 95), ["a", "b"])
    assert found["accuracy"] == pytest.approx(0.95)
    assert found["balanced_accuracy"] == pytest.approx(0.5)


def test_confusion_rows_are_the_true_classes():
    found = classification_metrics(logits_for([2, 2, 0], 3), torch.tensor([0, 1, 0]), ["a", "b", "c"])
    assert found["confusion"] == [[1, 0, 1], [0, 0, 1], [0, 0, 0]]


def test_order_of_images_does_not_matter():
    torch.manual_seed(0)
    logits, labels = torch.randn(50, 3), torch.arange(50) % 3
    order = torch.randperm(50)
    first = classification_metrics(logits, labels, ["a", "b", "c"])
    second = classification_metrics(logits[order], labels[order], ["a", "b", "c"])
    assert first["loss"] == pytest.approx(second["loss"])
    assert first["confusion"] == second["confusion"]


@pytest.fixture(params=[2, 4])
def random(request):
    """(logits, labels, classes) that are neither good nor bad, all classes there."""
    generator = torch.Generator().manual_seed(request.param)
    labels = torch.arange(200) ** 2 % request.param if request.param == 2 else torch.arange(200) % 4
    labels[:120] = 0
    return 2 * torch.randn(200, request.param, generator=generator), labels, list("abcd"[: request.param])


def test_all_metrics_agree_with_scikit_learn(random):
    logits, labels, classes = random
    found = classification_metrics(logits, labels, classes)
    said, probabilities = logits.argmax(1).numpy(), logits.double().softmax(1).numpy()
    asked = probabilities[:, 1] if len(classes) == 2 else probabilities
    recall, precision = (of(labels, said, average=None) for of in (sk.recall_score, sk.precision_score))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(labels, said))
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(labels, said))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(labels, said, average="macro"))
    assert found["auroc"] == pytest.approx(sk.roc_auc_score(labels, asked, multi_class="ovr"))
    assert found["loss"] == pytest.approx(sk.log_loss(labels, probabilities))
    assert list(found["recall"].values()) == pytest.approx(recall.tolist())
    assert list(found["precision"].values()) == pytest.approx(precision.tolist())
    assert found["confusion"] == sk.confusion_matrix(labels, said).tolist()


def test_ece_agrees_with_torchmetrics(random):
    logits, labels, classes = random
    theirs = multiclass_calibration_error(logits.softmax(1), labels, len(classes), n_bins=15, norm="l1")
    assert classification_metrics(logits, labels, classes)["ece"] == pytest.approx(float(theirs), abs=1e-6)


@pytest.mark.parametrize("labels", [[0, 0, 1, 2, 2, 1], [0, 0, 2, 2, 2, 2], [1, 1, 1, 1, 1, 1]])
def test_scores_agree_with_the_statistics_also_where_classes_are_absent(labels):
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    found = classification_metrics(logits, torch.tensor(labels), ["a", "b", "c"])
    for metric in METRICS:
        (theirs,) = score(logits.argmax(1).numpy()[None], np.array(labels), metric)
        assert found[metric] == pytest.approx(theirs), metric


def test_what_is_undefined_is_none_and_fits_json():
    found = classification_metrics(logits_for([0, 0, 1], 3), torch.tensor([0, 0, 0]), ["a", "b", "c"])
    assert found["recall"] == {"a": pytest.approx(2 / 3), "b": None, "c": None}
    assert found["precision"] == {"a": 1.0, "b": 0.0, "c": None}  # nothing was said to be c
    assert found["auroc"] is None
    assert found["balanced_accuracy"] == pytest.approx(2 / 3)
    json.dumps(found, allow_nan=False)
    absent = classification_metrics(logits_for([0, 1, 1, 0], 3), torch.tensor([0, 0, 1, 1]), ["a", "b", "c"])
    assert absent["auroc"] == pytest.approx(0.5)  # over a and b
    broken = classification_metrics(torch.full((2, 2), math.nan), torch.tensor([0, 1]), ["a", "b"])
    assert (broken["loss"], broken["auroc"], broken["ece"]) == (None, None, None)
    json.dumps(broken, allow_nan=False)


def test_perfect_predictions_are_perfect_in_everything():
    labels = torch.tensor([0, 1, 2, 2])
    found = classification_metrics(logits_for(labels.tolist(), 3) * 100, labels, ["a", "b", "c"])
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc"):
        assert found[name] == 1, name
    assert found["loss"] == pytest.approx(0)
    assert found["ece"] == pytest.approx(0)
    assert set(found["recall"].values()) == set(found["precision"].values()) == {1.0}


def test_a_constant_answer_ranks_nothing_and_its_ece_is_its_gap():
    logits = torch.tensor([[math.log(3), 0.0]]).repeat(10, 1)  # 75 % sure of the first class
    found = classification_metrics(logits, torch.tensor([0] * 6 + [1] * 4), ["a", "b"])
    assert found["auroc"] == pytest.approx(0.5)
    assert found["ece"] == pytest.approx(0.75 - 0.6)
    assert found["macro_f1"] == pytest.approx((2 * 6 / 16 + 0) / 2)


def test_auroc_tells_apart_what_float32_holds_for_certain():
    logits = torch.tensor([[30.0, 0.0], [25.0, 0.0], [22.0, 0.0], [20.0, 0.0]])
    assert classification_metrics(logits, torch.tensor([0, 0, 1, 1]), ["a", "b"])["auroc"] == 1


def test_order_of_classes_does_not_matter(random):
    logits, labels, classes = random
    order = torch.arange(len(classes)).flip(0)
    first = classification_metrics(logits, labels, classes)
    second = classification_metrics(logits[:, order], order[labels], classes[::-1])
    for name in ("accuracy", "balanced_accuracy", "loss", "macro_f1", "auroc", "ece", "recall", "precision"):
        assert second[name] == pytest.approx(first[name]), name


def test_every_epoch_measures_as_the_end_does(random):
    logits, labels, classes = random
    cheap, full = validation_metrics(logits, labels), classification_metrics(logits, labels, classes)
    assert cheap == {name: full[name] for name in ("accuracy", "balanced_accuracy", "loss")}


def test_reliability_puts_each_image_in_the_bin_of_its_confidence():
    logits = np.log([[0.6, 0.4], [0.6, 0.4], [0.1, 0.9], [1.0 - 1e-12, 1e-12]])
    bins = reliability(logits, np.array([0, 1, 1, 0]), bins=4)
    assert [one.images for one in bins] == [0, 0, 2, 2]
    assert bins[0] == (0, None, None)
    assert bins[2] == (2, pytest.approx(0.6), 0.5)
    assert bins[3] == (2, pytest.approx(0.95), 1.0)
    assert expected_calibration_error(bins) == pytest.approx((2 * 0.1 + 2 * 0.05) / 4)
