"""Measures of generated images on features: by hand, at their limits, and against other libraries."""

import math
import warnings

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from torch import nn
from torchmetrics.image.kid import KernelInceptionDistance

from fer_experiments.evaluation.generated.diversity import diversity
from fer_experiments.evaluation.generated.fid import frechet_distance
from fer_experiments.evaluation.generated.fld import LEARNING_RATE, STEPS, feature_likelihood_divergence
from fer_experiments.evaluation.generated.kid import KID, kernel_inception_distance
from fer_experiments.evaluation.generated.prdc import expected_coverage, precision_recall_density_coverage
from fer_experiments.evaluation.generated.vendi import compare_vendi_scores, vendi_score


def normal(count: int, features: int = 8, seed: int = 0, shift: float = 0.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, features, dtype=torch.float64, generator=generator) + shift


# Kernel inception distance


class PassFeatures(nn.Module):
    """The network that torchmetrics expects; it returns features unchanged."""

    num_features = 8

    def forward(self, features):
        return features


def test_kid_of_constant_features_is_the_kernel_by_hand():
    first, second = torch.full((50, 4), 1.0), torch.full((40, 4), 2.0)  # (x . y / 4 + 1)^3: 8, 125 and 27
    value = pytest.approx(8 + 125 - 2 * 27)
    assert kernel_inception_distance(first, second) == KID(value, value, value, 50, 40)  # nothing varies


def test_kid_is_that_of_torchmetrics_with_one_subset_of_all_images():
    first, second = normal(60), normal(60, seed=1, shift=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = KernelInceptionDistance(PassFeatures(), subsets=1, subset_size=60)
    metric.update(first, real=True)
    metric.update(second, real=False)
    assert kernel_inception_distance(first, second).value == pytest.approx(float(metric.compute()[0]))


def test_kid_in_chunks_is_kid_at_once(monkeypatch):
    at_once = kernel_inception_distance(normal(50), normal(30, seed=1))
    monkeypatch.setattr("fer_experiments.evaluation.generated.kid.CHUNK", 7)
    assert kernel_inception_distance(normal(50), normal(30, seed=1)).low == pytest.approx(at_once.low)


def leave_out(features: torch.Tensor, place: int) -> torch.Tensor:
    return torch.cat([features[:place], features[place + 1 :]])


def test_kids_interval_is_the_jackknife_by_its_definition():
    first, second = normal(12), normal(9, seed=1, shift=0.5)
    kid = kernel_inception_distance(first, second)
    without_first = [kernel_inception_distance(leave_out(first, place), second).value for place in range(12)]
    without_second = [kernel_inception_distance(first, leave_out(second, place)).value for place in range(9)]
    variance = sum((len(values) - 1) * np.var(values) for values in (without_first, without_second))
    assert kid.high - kid.value == pytest.approx(2.306004 * math.sqrt(variance))  # t with 8 degrees of freedom


def squared_mmd(shift: float, features: int) -> float:
    """Compute the squared MMD of N(0, I) and N(shift, I) from the moments of x . y."""

    def mean_kernel(first: float, second: float) -> float:
        a, b, cross = features * first**2, features * second**2, features * first * second
        square = cross**2 + a + b + features
        cube = cross**3 + 3 * cross * a + 3 * cross * (features + b + 2)
        return 1 + 3 * cross / features + 3 * square / features**2 + cube / features**3

    return mean_kernel(0, 0) + mean_kernel(shift, shift) - 2 * mean_kernel(0, shift)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_kids_interval_holds_the_truth_in_95_percent(shift):
    truth = squared_mmd(shift, 8)
    kids = [
        kernel_inception_distance(normal(40, seed=2 * n), normal(100, seed=2 * n + 1, shift=shift)) for n in range(300)
    ]
    assert np.mean([kid.value for kid in kids]) == pytest.approx(truth, abs=0.02)
    covered = np.mean([kid.low <= truth <= kid.high for kid in kids])
    assert (
        covered > 0.92
    )  # 95%, less three standard errors of 300 draws; for equal distributions it is wider than necessary


def test_kid_refuses_sets_too_small_to_leave_an_image_out():
    with pytest.raises(ValueError, match="2 and 400 images: KID needs 3 of each"):
        kernel_inception_distance(torch.zeros(2, 2), torch.zeros(400, 2))


# Frechet distance


def test_fid_of_two_gaussians_is_the_closed_form():
    first, second = normal(20_000, 3), normal(20_000, 3, seed=1) * 2 + 0.7
    # |0.7|^2 in three features, and (1 - 2)^2 in each.
    fid = frechet_distance(first, second)
    assert fid.value == pytest.approx(3 * 0.49 + 3, rel=0.03)
    assert (fid.first, fid.second) == (20_000, 20_000)
    assert frechet_distance(first, first).value == pytest.approx(0, abs=1e-6)


def test_fid_refuses_no_more_images_than_features():
    with pytest.raises(ValueError, match="40 and 8 images: FID of 8 features needs more than 8 of each"):
        frechet_distance(normal(40), normal(8))
    assert frechet_distance(normal(40), normal(9)).value > 0


# Precision, recall, density, coverage


def test_two_samples_of_one_distribution_have_their_expectations():
    measures = [
        precision_recall_density_coverage(normal(60, 2, seed=n), normal(90, 2, seed=100 + n)) for n in range(40)
    ]
    assert np.mean([measure.density for measure in measures]) == pytest.approx(1, abs=0.05)
    expected = expected_coverage(60, 90, 5)
    assert {measure.expected_coverage for measure in measures} == {expected}
    assert np.mean([measure.coverage for measure in measures]) == pytest.approx(expected, abs=0.02)


def test_a_set_covers_itself_and_disjoint_sets_have_nothing_in_common():
    first, second = normal(50, 4), normal(50, 4, seed=1, shift=100)
    same = precision_recall_density_coverage(first, first)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    disjoint = precision_recall_density_coverage(first, second)
    assert (disjoint.precision, disjoint.recall, disjoint.density, disjoint.coverage) == (0, 0, 0, 0)


def test_precision_and_recall_are_not_swapped():
    wide, narrow = normal(200, 2) * 5, normal(200, 2, seed=1) * 0.3
    measures = precision_recall_density_coverage(real=wide, generated=narrow)
    assert measures.precision > 0.9 > 0.2 > measures.recall
    assert (measures.real, measures.generated) == (200, 200)
    swapped = precision_recall_density_coverage(real=narrow, generated=wide)
    assert swapped.precision < 0.2 < 0.9 < swapped.recall


def test_a_dropped_mode_lowers_recall_and_coverage_only():
    real = torch.cat([normal(100, 2), normal(100, 2, seed=1, shift=50)])
    both = torch.cat([normal(100, 2, seed=2), normal(100, 2, seed=3, shift=50)])
    half = normal(200, 2, seed=4)
    full, dropped = (precision_recall_density_coverage(real, generated) for generated in (both, half))
    assert full.recall > 0.8
    assert full.coverage > 0.9
    assert dropped.recall == pytest.approx(0.5, abs=0.05)
    assert dropped.coverage == pytest.approx(0.5, abs=0.05)
    assert dropped.precision == pytest.approx(full.precision, abs=0.1)
    assert dropped.density == pytest.approx(full.density, abs=0.25)


def test_precision_and_recall_of_few_images_are_refused():
    with pytest.raises(ValueError, match="5 real and 80 generated images: precision and recall need more than 5"):
        precision_recall_density_coverage(normal(5), normal(80))


# Vendi score


def test_the_vendi_score_is_the_number_of_kinds():
    assert vendi_score(torch.ones(7, 4)) == pytest.approx(1)
    assert vendi_score(torch.eye(5)) == pytest.approx(5)
    assert vendi_score(torch.eye(3).repeat(4, 1) * 9) == pytest.approx(3)  # whatever the length of the features
    weights = torch.tensor([0.75, 0.25])  # three images of one kind, one of another
    entropy = -(weights * weights.log()).sum()
    assert vendi_score(torch.eye(2)[[0, 0, 0, 1]]) == pytest.approx(float(entropy.exp()))


def test_the_vendi_score_is_that_of_the_kernel_matrix():
    features = normal(30, 6)
    cosines = torch.nn.functional.normalize(features.double(), dim=1)
    eigenvalues = torch.linalg.eigvalsh(cosines @ cosines.T / 30).clamp(min=1e-300)
    assert vendi_score(features) == pytest.approx(float((-(eigenvalues * eigenvalues.log()).sum()).exp()))


def test_vendi_scores_are_compared_on_as_many_images():
    scores = compare_vendi_scores(held_out=normal(40), generated=normal(90, seed=1))
    assert scores.images == 40
    assert scores.ratio == pytest.approx(1, abs=0.1)
    few_kinds = normal(3)[torch.arange(90) % 3]
    assert compare_vendi_scores(normal(40), few_kinds).ratio < 0.6
    with pytest.raises(ValueError, match="40 held-out and 9 generated images; 10 are needed"):
        compare_vendi_scores(normal(40), normal(9))


# Feature likelihood divergence


def fit_variances(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Fit the variances (L,) by Adam (Kingma and Ba 2015) on gradients by hand, one point and centre after another."""
    n, features = points.shape
    squares = np.array([[((point - centre) ** 2).sum() for centre in centres] for point in points])
    mean = points.mean(0)
    squares = np.hstack([squares, [[0.81 * ((point - mean) ** 2).sum()] for point in points]])
    weights = np.array([1 / len(centres)] * len(centres) + [1.0])
    logs = np.append(np.log((squares[:, :-1].min(0) + 1e-3) / features), 0.0)
    first, second, losses = np.zeros_like(logs), np.zeros_like(logs), []
    for step in range(1, STEPS + 1):
        densities = weights * np.exp(-squares / 2 / np.exp(logs)) / (2 * np.pi * np.exp(logs)) ** (features / 2)
        losses.append(-np.log(densities.sum(1)).mean() / features)
        shares = densities / densities.sum(1, keepdims=True)
        gradient = -(shares * (squares / np.exp(logs) - features)).sum(0) / (2 * n * features)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        corrected = first / (1 - 0.9**step), second / (1 - 0.999**step)
        logs -= LEARNING_RATE * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
        if step > 6 and max(abs(losses[-1] - loss) for loss in losses[-5:]) < 5e-4:
            break
    return np.exp(logs[:-1])


def unlikeliness(points: np.ndarray, centres: np.ndarray, variances: np.ndarray) -> float:
    """The mean negative log-likelihood of points, for one feature."""
    parts = zip(centres, variances, strict=True)
    densities = np.mean([multivariate_normal(centre, variance).pdf(points) for centre, variance in parts], axis=0)
    return -np.log(densities).mean() / points.shape[1]


def test_fld_is_its_definition():
    train, held_out, generated = normal(50, 4), normal(30, 4, seed=1), normal(40, 4, seed=2, shift=0.3)
    fld = feature_likelihood_divergence(train, held_out, generated)
    mean, std = held_out.mean(0), held_out.std(0)
    train, held_out, generated = (((features - mean) / std).numpy() for features in (train, held_out, generated))
    generated = generated[:25]  # as many as half of the training images
    variances = fit_variances(train, generated)
    reference = unlikeliness(held_out, train[:25], fit_variances(train[25:], train[:25]))
    assert fld.value == pytest.approx(100 * (unlikeliness(held_out, generated, variances) - reference))
    gap = unlikeliness(train, generated, variances) - unlikeliness(held_out, generated, variances)
    assert fld.gap == pytest.approx(100 * gap)


def test_fld_is_that_of_its_authors():
    """github.com/marcojira/fld, commit ffbbf20, without its shuffling of images."""
    generator = torch.Generator().manual_seed(1)
    sets = [torch.randn(count, 16, generator=generator, dtype=torch.float64) for count in (200, 100, 60)]
    fld = feature_likelihood_divergence(*sets[:2], sets[2] + 0.5)
    assert (fld.value, fld.gap) == (pytest.approx(8.6996, abs=1e-4), pytest.approx(0.694, abs=1e-3))


def test_fld_is_zero_for_real_images_and_grows_with_every_fault():
    train, held_out, fresh = normal(400, 16), normal(400, 16, seed=1), normal(200, 16, seed=2)
    as_real = feature_likelihood_divergence(train, held_out, fresh)
    assert as_real.value == pytest.approx(0, abs=1)
    noise = 0.1 * normal(200, 16, seed=3)
    faulty = {
        "shifted": fresh + 0.5,
        "few kinds": fresh[torch.arange(200) % 10] + noise,
        "near copies": train[:200] + 0.01 * noise,
    }
    values = {name: feature_likelihood_divergence(train, held_out, features) for name, features in faulty.items()}
    assert all(fld.value > as_real.value + 3 for fld in values.values()), values
    assert values["near copies"].gap < values["shifted"].gap - 3
    assert feature_likelihood_divergence(train, held_out, train[:200]).value > 1000


def test_fld_leaves_out_features_that_do_not_vary():
    sets = normal(60), normal(40, seed=1), normal(50, seed=2)
    constant = [torch.cat([features, torch.ones(len(features), 1)], dim=1) for features in sets]
    assert feature_likelihood_divergence(*constant) == feature_likelihood_divergence(*sets)


def test_fld_of_few_images_is_refused():
    with pytest.raises(ValueError, match="39 training, 20 held-out and 20 generated images; 40, 20 and 20 are needed"):
        feature_likelihood_divergence(normal(39), normal(20), normal(20))
    with pytest.raises(ValueError, match="no feature of the held-out images varies"):
        feature_likelihood_divergence(normal(40), torch.ones(20, 8), normal(20))


# Diversity


def test_copies_of_one_image_have_no_diversity_and_another_sample_has_all_of_it():
    real = normal(60)
    assert diversity(real[:1].repeat(40, 1), real).ratio == pytest.approx(0, abs=1e-6)
    assert diversity(normal(60, seed=1), real).ratio == pytest.approx(1, abs=0.1)
    assert diversity(real * 3, real).ratio == pytest.approx(3)


def test_diversity_of_one_image_is_refused():
    with pytest.raises(ValueError, match="1 generated and 60 real images: distances need 2 of each"):
        diversity(normal(1), normal(60))
