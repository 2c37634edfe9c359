"""Losses for imbalanced classes against numbers worked by hand and against a second formula."""

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
    """Two logits that give the first class the probability p."""
    return torch.tensor([[math.log(p / (1 - p)), 0.0]])


@pytest.mark.parametrize("name", LOSSES)
class TestEveryLoss:
    def test_is_a_loss_for_each_image(self, name, batch):
        assert LOSSES[name](*batch).shape == (64,)

    def test_does_not_know_a_constant_on_all_logits(self, name, batch):
        logits, labels = batch
        torch.testing.assert_close(LOSSES[name](logits + 5, labels), LOSSES[name](logits, labels), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["cross_entropy", "logit_adjusted"])  # the others have a factor or margin of the label
def test_smoothing_is_the_mean_over_the_classes_as_labels(name, batch):
    """(1 - s) loss of the label + s mean loss of all labels."""
    logits, labels = batch
    loss = LOSSES[name]
    all_labels = torch.stack([loss(logits, torch.full_like(labels, other)) for other in range(3)])
    wanted = 0.9 * loss(logits, labels) + 0.1 * all_labels.mean(0)
    torch.testing.assert_close(loss(logits, labels, 0.1), wanted)


def test_focal_by_hand():
    assert Focal(2.0)(logits_of(0.8), torch.tensor([0])).item() == pytest.approx(0.2**2 * -math.log(0.8), rel=1e-5)
    assert Focal(2.0)(logits_of(0.8), torch.tensor([1])).item() == pytest.approx(0.8**2 * -math.log(0.2), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_of_two_classes_is_torchvisions(gamma):
    x, labels = torch.linspace(-8, 8, 33), torch.arange(33) % 2
    ours = Focal(gamma)(torch.stack([torch.zeros(33), x], 1), labels)
    torch.testing.assert_close(ours, sigmoid_focal_loss(x, labels.float(), alpha=-1, gamma=gamma), atol=1e-6, rtol=1e-4)


def test_gamma_of_zero_is_cross_entropy(batch):
    torch.testing.assert_close(Focal(0.0)(*batch), F.cross_entropy(*batch, reduction="none"))


def test_focal_has_a_gradient_where_an_image_is_surely_right():
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(Focal(0.5)(logits, torch.tensor([0])).sum(), logits)
    assert gradient.isfinite().all()


def test_balanced_softmax_by_hand():
    """Even logits: the loss is -log of the class's own share of the images."""
    loss = LogitAdjusted(torch.tensor([1.0, 3.0]).log())
    assert loss(torch.zeros(2, 2), torch.tensor([0, 1])).tolist() == pytest.approx([math.log(4), math.log(4 / 3)])


def test_balanced_softmax_is_its_own_formula(batch):
    logits, labels = batch
    weighted = COUNTS * logits.double().exp()
    wanted = -(weighted[range(64), labels] / weighted.sum(1)).log()
    torch.testing.assert_close(LOSSES["logit_adjusted"](logits, labels).double(), wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_logit_adjustment_is_the_pairwise_margin_loss(batch, tau):
    """log(1 + sum_k (pi_k / pi_y)^tau exp(f_k - f_y)), the right side of equation 10 of Menon et al. 2021."""
    logits, labels = batch
    priors = (COUNTS / COUNTS.sum()).double()
    ratio = (priors[None, :] / priors[labels][:, None]) ** tau
    terms = ratio * (logits.double() - logits.double().gather(1, labels[:, None])).exp()
    wanted = (1 + terms.scatter(1, labels[:, None], 0.0).sum(1)).log()
    ours = LogitAdjusted((tau * priors.log()).float())(logits, labels)
    torch.testing.assert_close(ours.double(), wanted, atol=1e-5, rtol=1e-4)


def test_margin_by_hand():
    """Even logits, a margin of log 3 on the true class: it is left with a quarter."""
    loss = Margin(torch.tensor([math.log(3), 0.0]))
    assert loss(torch.zeros(2, 2), torch.tensor([0, 1])).tolist() == pytest.approx([math.log(4), math.log(2)])


def test_margin_is_its_own_formula(batch):
    logits, labels = batch
    margins = torch.tensor([1.0, 4.0, 9.0])[labels]
    true = (logits[range(64), labels] - margins).double().exp()
    others = logits.double().exp().scatter(1, labels[:, None], 0.0).sum(1)
    wanted = -(true / (true + others)).log()
    torch.testing.assert_close(LOSSES["margin"](logits, labels).double(), wanted, atol=1e-5, rtol=1e-4)
