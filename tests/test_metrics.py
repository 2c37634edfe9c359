"""Metrics against numbers worked by hand."""

import math

import pytest
import torch

from fer_experiments.evaluation.kid import kernel_inception_distance
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


# Kernel inception distance


def test_kid_of_constant_features_is_the_kernels_by_hand():
    first, second = torch.full((50, 4), 1.0), torch.full((50, 4), 2.0)  # (x . y / 4 + 1)^3: 8, 125 and 27
    assert kernel_inception_distance(first, second, subset_size=20) == pytest.approx((8 + 125 - 2 * 27, 0))


def test_kid_tells_one_distribution_from_two_and_leaves_the_random_state():
    torch.manual_seed(0)
    first, same, shifted = torch.randn(400, 8), torch.randn(400, 8), torch.randn(400, 8) + 1
    state = torch.get_rng_state()
    close, far = (kernel_inception_distance(first, other)[0] for other in (same, shifted))
    assert abs(close) < 0.05 < far
    assert torch.equal(torch.get_rng_state(), state)
    assert kernel_inception_distance(first, same) == kernel_inception_distance(first, same)


def test_kid_refuses_sets_smaller_than_its_subsets():
    with pytest.raises(ValueError, match=r"30 and 400 images: KID needs subset_size=200 of each"):
        kernel_inception_distance(torch.zeros(30, 2), torch.zeros(400, 2))
