"""How often the interval holds the truth, and how often equal arms get a verdict, in simulated studies.

The large simulation: pytest -m slow tests/test_interval_coverage.py.
"""

import numpy as np
import pytest

from fer_experiments.evaluation import comparison
from fer_experiments.evaluation.comparison import compare
from tests.simulation import simulate, simulate_study


@pytest.fixture(autouse=True)
def _without_sign_flips(monkeypatch):
    """Leave out the sign flips, which take most of the time; no verdict depends on them."""
    monkeypatch.setattr(comparison, "sign_flip_p_value", lambda differences, seed: 1.0)


def simulate_rates(seeds: int, images: int, effect: float, studies: int) -> tuple[float, float]:
    """Return the shares of studies whose interval holds `effect`, and that say helps or hurts."""
    rng = np.random.default_rng([seeds, images, round(1000 * effect)])
    results = [compare(*simulate(rng, seeds, images, effect)) for _ in range(studies)]
    covered = np.mean([result.low <= effect <= result.high for result in results])
    return float(covered), float(np.mean([result.verdict in ("helps", "hurts") for result in results]))


def two_errors(share: float, studies: int) -> float:
    """Return two standard errors of a simulated share."""
    return 2 * float(np.sqrt(share * (1 - share) / studies))


@pytest.mark.parametrize("effect", [0.0, 0.03])
def test_400_studies_cover_the_truth_and_rarely_decide_on_equal_arms(effect):
    covered, decided = simulate_rates(seeds=5, images=200, effect=effect, studies=400)
    assert covered >= 0.93
    assert (decided <= 0.05 + two_errors(0.05, 400)) if effect == 0 else (decided > 0.2)


@pytest.mark.parametrize("seeds", [2, 3])
def test_few_seeds_are_no_surer_than_they_may_be(seeds):
    """The spread between seeds matters most with many images."""
    covered, decided = simulate_rates(seeds, images=1400, effect=0.0, studies=400)
    assert covered >= 0.93
    assert decided <= 0.05 + two_errors(0.05, 400)


def test_power_grows_with_seeds_and_images():
    power = {
        size: simulate_rates(*size, effect=0.03, studies=100)[1]
        for size in ((5, 200), (20, 200), (5, 1400), (20, 1400))
    }
    assert power[5, 200] < min(power[20, 200], power[5, 1400])
    assert max(power[20, 200], power[5, 1400]) < power[20, 1400]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("images", [200, 1400])
def test_1000_studies_of_each_kind_cover_the_truth_and_rarely_decide_on_equal_arms(images):
    """The coverage is at least 93%; at most 5% of equal arms, and what chance adds, get a verdict."""
    power = []
    for seeds in (2, 3, 5, 10, 20):
        for effect in (0.0, 0.03):
            covered, decided = simulate_rates(seeds, images, effect, 1000)
            print(f"{images} images, {seeds} seeds, effect {effect}: coverage {covered:.3f}, decided {decided:.3f}")
            assert covered >= 0.93
            if effect == 0:
                assert decided <= 0.05 + two_errors(0.05, 1000)
            elif seeds >= 5:
                power.append(decided)
    assert power == sorted(power)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "macro_f1", "accuracy"])
def test_persons_with_images_of_several_classes_count_as_one_image(metric):
    """120 persons have an image of each of five classes, and those of a person are hard for the same arm."""
    rng, persons, classes = np.random.default_rng(5), 120, 5
    labels, clusters = np.tile(np.arange(classes), persons), np.repeat(np.arange(persons), classes)
    covered, decided, alone = 0, 0, 0
    for _ in range(300):
        a, b = (
            study.predictions
            for study in simulate_study(rng, {"none": 0.8, "dcgan": 0.8}, 5, labels, cluster_size=classes)
        )
        result = compare(a, b, labels, metric, clusters=clusters)
        covered += result.low <= 0 <= result.high
        decided += result.verdict in ("helps", "hurts")
        alone += compare(a, b, labels, metric).verdict in ("helps", "hurts")
    assert covered >= 0.93 * 300
    assert decided <= (0.05 + two_errors(0.05, 300)) * 300
    assert alone > 1.5 * decided
