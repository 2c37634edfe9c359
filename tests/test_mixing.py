"""Mixup and Remix: images and labels of mixed pairs."""

import pytest
import torch

from fer_experiments.augment.mixing import Mixing

COUNTS = torch.tensor([900.0, 45.0, 400.0])


def test_images_are_mixed_with_their_partners_by_the_share():
    torch.manual_seed(0)
    images, labels = torch.rand(16, 3, 4, 4), torch.arange(16) % 3
    mixed, partners, share = Mixing(0.4)(images, labels)
    assert partners.tolist() == labels.roll(1).tolist()
    part = share[:, None, None, None]
    torch.testing.assert_close(mixed, part * images + (1 - part) * images.roll(1, 0))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_are_drawn_for_each_image_from_beta(alpha):
    torch.manual_seed(0)
    share = Mixing(alpha)(torch.zeros(20_000, 1, 1, 1), torch.zeros(20_000, dtype=torch.int64))[2]
    assert len(share.unique()) > 10_000
    assert share.mean().item() == pytest.approx(0.5, abs=0.02)
    assert share.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_mixing_is_reproducible_by_seed():
    shares = []
    for _ in range(2):
        torch.manual_seed(3)
        shares.append(Mixing(0.4)(torch.ones(8, 1, 2, 2), torch.zeros(8, dtype=torch.int64))[2])
    assert torch.equal(*shares)


@pytest.mark.parametrize(
    ("label", "partner_label", "share", "expected"),
    [
        (0, 1, 0.3, 0.0),  # the small class has 0.7 of the image, and so the whole label
        (0, 1, 0.6, 0.6),
        (1, 0, 0.7, 1.0),
        (1, 0, 0.4, 0.4),
        (0, 2, 0.3, 0.3),  # 900 is not three times 400
        (1, 1, 0.3, 0.3),
    ],
)
def test_remix_gives_the_label_to_the_much_smaller_class(label, partner_label, share, expected):
    mixing = Mixing(1.0, COUNTS, kappa=3.0, tau=0.5)
    labels, partner_labels = torch.tensor([label]), torch.tensor([partner_label])
    label_share = mixing._compute_label_share(torch.tensor([share]), labels, partner_labels)
    assert label_share.item() == pytest.approx(expected)


def test_remix_of_balanced_classes_is_mixup():
    images, labels = torch.rand(32, 1, 2, 2), torch.arange(32) % 3
    shares = []
    for mixing in (Mixing(1.0), Mixing(1.0, torch.full((3,), 50.0), kappa=3.0, tau=0.5)):
        torch.manual_seed(1)
        shares.append(mixing(images, labels)[2])
    assert torch.equal(*shares)
