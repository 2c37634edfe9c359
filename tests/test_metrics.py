"""Metrics against numbers worked by hand."""

import math

import pytest
import torch

from fer_experiments.evaluation.metrics import classification_metrics


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
