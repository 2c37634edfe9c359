"""Copies of real images are noticed, and fresh samples of the same distribution are not."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import mannwhitneyu, norm

from fer_experiments.evaluation.generated.memorisation import (
    copying_z,
    expected_share,
    held_out_copies,
    low_quantile,
    memorisation,
    probability_of_share,
)
from fer_experiments.evaluation.generated.nearest import (
    PixelFeatures,
    find_nearest,
    neighbour_distances,
    pixel_features,
)


def gaussians(count: int, seed: int) -> PixelFeatures:
    """Return features whose mirror images are far away, so that these change nothing."""
    plain = torch.randn(count, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return PixelFeatures(plain, plain + 100)


def shifted(features: PixelFeatures, by: float) -> PixelFeatures:
    return PixelFeatures(features.plain + by, features.mirrored + by)


@pytest.mark.parametrize("mirrored", [False, True])
def test_copies_of_training_images_are_all_memorised_and_name_their_image(mirrored):
    train, held_out = gaussians(300, 0), gaussians(60, 1)
    chosen = torch.arange(0, 300, 7)
    copies = train[chosen] if not mirrored else PixelFeatures(train.mirrored[chosen], train.plain[chosen])
    distances, places = find_nearest(copies.plain, train)
    assert places.tolist() == chosen.tolist()
    assert distances.max() < 1e-4
    result = memorisation(copies, train, held_out)
    assert (result.share, result.authenticity) == (1, 0)
    assert result.ct < -5


def test_fresh_samples_give_the_expected_share_ct_and_authenticity():
    train = gaussians(400, 0)
    results = [memorisation(gaussians(400, 2 + seed), train, gaussians(99, 50 + seed)) for seed in range(20)]
    table = pd.DataFrame(results)
    assert table["chance"].min() > 0.001
    assert table["chance"].mean() == pytest.approx(0.5, abs=0.2)  # uniform, but for whole numbers of images
    assert table["share"].mean() == pytest.approx(0.05, abs=0.02)
    assert table["ct"].mean() == pytest.approx(0, abs=0.6)
    assert 0.5 < table["ct"].std() < 1.5
    assert table["authenticity"].mean() == pytest.approx(table["real_authenticity"].mean(), abs=0.03)


def test_far_away_images_are_not_memorised():
    result = memorisation(shifted(gaussians(100, 2), 20), gaussians(400, 0), gaussians(100, 1))
    assert (result.share, result.authenticity) == (0, 1)
    assert result.ct > 5


def test_few_held_out_images_give_no_memorisation():
    with pytest.raises(ValueError, match="19 held-out images of the class; 20 are needed"):
        memorisation(gaussians(50, 0), gaussians(50, 1), gaussians(19, 2))
    assert memorisation(gaussians(50, 0), gaussians(50, 1), gaussians(20, 2)).share < 1


def test_ct_is_scipys_normal_approximation():
    first, second = (gaussians(count, count).plain[:, 0] for count in (40, 70))
    p = mannwhitneyu(first.numpy(), second.numpy(), method="asymptotic", use_continuity=False).pvalue
    assert 2 * norm.sf(abs(copying_z(first, second))) == pytest.approx(p)
    assert copying_z(first, second) == pytest.approx(-copying_z(second, first))


def test_an_image_is_not_its_own_neighbour_nor_is_its_mirror_image():
    plain = torch.tensor([[0.0], [1.0], [5.0]], dtype=torch.float64)
    train = PixelFeatures(plain, torch.tensor([[0.1], [9.0], [3.5]], dtype=torch.float64))
    assert neighbour_distances(torch.tensor([0, 1, 2]), train).tolist() == pytest.approx([1.0, 0.9, 4.0])


def test_copies_of_held_out_images_are_noticed_and_fresh_or_training_images_are_not():
    train, held_out, fresh = gaussians(300, 0), gaussians(80, 1), gaussians(400, 2)
    copied = held_out_copies(held_out[:40], train, held_out)
    assert (copied.share, copied.images) == (1, 80)
    for honest in (fresh, train):
        assert held_out_copies(honest, train, held_out).share <= 0.05


@pytest.mark.parametrize(("train", "generated"), [(1, 400), (2, 10), (3, 5)])
def test_so_few_images_that_copies_would_not_stand_out_are_refused(train, generated):
    message = f"{train} training and {generated} generated images of the class are too few"
    with pytest.raises(ValueError, match=message):
        held_out_copies(gaussians(generated, 2), gaussians(train, 0), gaussians(9, 1))
    held_out = gaussians(generated, 1)
    assert held_out_copies(held_out, gaussians(train, 0), held_out).identical == generated


@pytest.mark.parametrize("count", [3, 6, 19])
def test_copies_of_held_out_images_are_noticed_beside_few_training_images(count):
    train, held_out = gaussians(count, 0), gaussians(9, 1)
    copied = held_out_copies(held_out, train, held_out)
    assert (copied.share, copied.expected) == (1, max(0.05, 1 / (count + 1)))
    fresh = [
        held_out_copies(gaussians(50, seed), gaussians(count, seed + 1), gaussians(9, seed + 2)).share
        for seed in range(2, 300, 3)
    ]
    assert np.mean(fresh) <= copied.expected


def test_the_lowest_of_few_draws_is_below_one_more_as_often_as_is_said():
    draws = torch.rand(2000, 7, generator=torch.Generator().manual_seed(0)).double()
    is_below = torch.tensor([float(draw[0]) < low_quantile(draw[1:]) for draw in draws])
    assert is_below.double().mean() == pytest.approx(expected_share(6), abs=0.03)
    assert probability_of_share(torch.ones(1, dtype=torch.bool), 6) == pytest.approx(1 / 7)


def test_identical_images_are_counted_however_few_they_are():
    train, held_out, fresh = (gaussians(count, seed) for seed, count in enumerate((100, 80, 100)))
    few = PixelFeatures(
        *(torch.cat([a, b[:2]]) for a, b in zip(vars(fresh).values(), vars(held_out).values(), strict=True))
    )
    assert held_out_copies(few, train, held_out).identical == 2
    assert held_out_copies(few, train[:5], held_out).identical == 2
    assert held_out_copies(fresh, train, held_out).identical == 0
    both = PixelFeatures(
        *(torch.cat([a, b]) for a, b in zip(vars(train).values(), vars(held_out).values(), strict=True))
    )
    assert held_out_copies(few, both, held_out).identical == 0  # a training image has these pixels, too
    blank = PixelFeatures(torch.zeros(3, 6).double(), torch.full((3, 6), 100.0).double())
    assert held_out_copies(blank, train, blank).identical == 0


def noise(count: int, side: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (count, 1, side, side), generator=torch.Generator().manual_seed(seed)).byte()


def test_pixel_features_ignore_brightness_and_contrast():
    images = noise(3, side=50)
    dimmed = (images.float() * 0.5 + 40).byte()
    torch.testing.assert_close(pixel_features(images), pixel_features(dimmed), atol=0.01, rtol=0)
    torch.testing.assert_close(pixel_features(images).norm(dim=1), torch.ones(3, dtype=torch.float64))
    assert pixel_features(torch.full((1, 3, 50, 50), 7).byte()).abs().max() < 1e-3  # no contrast, no direction
