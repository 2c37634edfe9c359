"""Losses for imbalanced classes against numbers worked out by hand and against second formulas."""

import math

import pytest
import torch
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from fer_experiments.balance.losses import CrossEntropy, Focal, LogitAdjusted, Margin

COUNTS = torch.tensor([900.0, 45.0, 7.0])
LOSSES = {
    "cross_entropy": CrossEntropy(),
    "focal": Focal(2.0),
    "logit_adjusted": LogitAdjusted((COUNTS / COUNTS.sum()).log()),
    "margin": Margin(torch.tensor([1.0, 4.0, 9.0])),
}


@pytest.fixture
def batch():
    torch.manual_seed(0)
    return 3 * torch.randn(64, 3), torch.arange(64) % 3


def logits_of(p: float) -> torch.Tensor:
    """Return logits of two classes that give the first the probability p."""
    return torch.tensor([[math.log(p / (1 - p)), 0.0]])


@pytest.mark.parametrize("name", LOSSES)
class TestEveryLoss:
    def test_returns_a_loss_for_each_image(self, name, batch):
        assert LOSSES[name](*batch).shape == (64,)

    def test_ignores_a_constant_that_is_added_to_all_logits(self, name, batch):
        logits, labels = batch
        torch.testing.assert_close(LOSSES[name](logits + 5, labels), LOSSES[name](logits, labels), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "name", ["cross_entropy", "logit_adjusted"]
)  # the other losses have a factor or margin of the label
def test_smoothing_adds_the_mean_loss_over_all_classes_as_labels(name, batch):
    """(1 - s) loss of the label + s mean loss of all labels."""
    logits, labels = batch
    loss = LOSSES[name]
    all_labels = torch.stack([loss(logits, torch.full_like(labels, label)) for label in range(3)])
    expected = 0.9 * loss(logits, labels) + 0.1 * all_labels.mean(0)
    torch.testing.assert_close(loss(logits, labels, 0.1), expected)


def test_focal_by_hand():
    assert Focal(2.0)(logits_of(0.8), torch.tensor([0])).item() == pytest.approx(0.2**2 * -math.log(0.8), rel=1e-5)
    assert Focal(2.0)(logits_of(0.8), torch.tensor([1])).item() == pytest.approx(0.8**2 * -math.log(0.2), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_of_two_classes_is_that_of_torchvision(gamma):
    x, labels = torch.linspace(-8, 8, 33), torch.arange(33) % 2
    values = Focal(gamma)(torch.stack([torch.zeros(33), x], 1), labels)
    expected = sigmoid_focal_loss(x, labels.float(), alpha=-1, gamma=gamma)
    torch.testing.assert_close(values, expected, atol=1e-6, rtol=1e-4)


def test_focal_loss_with_a_gamma_of_zero_is_cross_entropy(batch):
    torch.testing.assert_close(Focal(0.0)(*batch), F.cross_entropy(*batch, reduction="none"))


def test_focal_loss_has_a_finite_gradient_if_the_prediction_is_certainly_right():
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(Focal(0.5)(logits, torch.tensor([0])).sum(), logits)
    assert gradient.isfinite().all()


def test_balanced_softmax_by_hand():
    """With even logits the loss is -log of the share of images that are of the label's class."""
    loss = LogitAdjusted(torch.tensor([1.0, 3.0]).log())
    assert loss(torch.zeros(2, 2), torch.tensor([0, 1])).tolist() == pytest.approx([math.log(4), math.log(4 / 3)])


def test_balanced_softmax_is_a_softmax_weighted_by_the_counts(batch):
    logits, labels = batch
    weighted = COUNTS * logits.double().exp()
    expected = -(weighted[range(64), labels] / weighted.sum(1)).log()
    torch.testing.assert_close(LOSSES["logit_adjusted"](logits, labels).double(), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_logit_adjustment_is_the_pairwise_margin_loss(batch, tau):
    """log(1 + sum_k (pi_k / pi_y)^tau exp(f_k - f_y)), the right side of equation 10 of Menon et al. 2021."""
    logits, labels = batch
    priors = (COUNTS / COUNTS.sum()).double()
    ratio = (priors[None, :] / priors[labels][:, None]) ** tau
    terms = ratio * (logits.double() - logits.double().gather(1, labels[:, None])).exp()
    expected = (1 + terms.scatter(1, labels[:, None], 0.0).sum(1)).log()
    values = LogitAdjusted((tau * priors.log()).float())(logits, labels)
    torch.testing.assert_close(values.double(), expected, atol=1e-5, rtol=1e-4)


def test_margin_by_hand():
    """With even logits a margin of log 3 leaves the true class a probability of a quarter."""
    loss = Margin(torch.tensor([math.log(3), 0.0]))
    assert loss(torch.zeros(2, 2), torch.tensor([0, 1])).tolist() == pytest.approx([math.log(4), math.log(2)])


def test_margin_loss_is_cross_entropy_with_a_smaller_logit_of_the_label(batch):
    logits, labels = batch
    margins = torch.tensor([1.0, 4.0, 9.0])[labels]
    true = (logits[range(64), labels] - margins).double().exp()
    rest = logits.double().exp().scatter(1, labels[:, None], 0.0).sum(1)
    expected = -(true / (true + rest)).log()
    torch.testing.assert_close(LOSSES["margin"](logits, labels).double(), expected, atol=1e-5, rtol=1e-4)
