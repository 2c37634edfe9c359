"""How often the interval holds the truth, and how often arms that are alike get a verdict, in studies made up with a
known truth. Large: pytest -m slow tests/test_calibration.py."""

import numpy as np
import pytest

from fer_experiments.evaluation import statistics
from fer_experiments.evaluation.statistics import compare
from tests.simulation import simulate


@pytest.fixture(autouse=True)
def _without_sign_flips(monkeypatch):
    """They take most of the time, and no verdict rests on them."""
    monkeypatch.setattr(statistics, "sign_flip_p_value", lambda differences, seed: 1.0)


def rates(seeds: int, images: int, effect: float, studies: int) -> tuple[float, float]:
    """Shares of studies whose interval holds `effect`, and that say helps or hurts."""
    rng = np.random.default_rng([seeds, images, round(1000 * effect)])
    found = [compare(*simulate(rng, seeds, images, effect)) for _ in range(studies)]
    covered = np.mean([one.low <= effect <= one.high for one in found])
    return float(covered), float(np.mean([one.verdict in ("helps", "hurts") for one in found]))


def error(share: float, studies: int) -> float:
    """Two standard errors of a simulated share."""
    return 2 * float(np.sqrt(share * (1 - share) / studies))


@pytest.mark.parametrize("effect", [0.0, 0.03])
def test_small_calibration(effect):
    covered, decided = rates(seeds=5, images=200, effect=effect, studies=400)
    assert covered >= 0.93
    assert (decided <= 0.05 + error(0.05, 400)) if effect == 0 else (decided > 0.2)


@pytest.mark.parametrize("seeds", [2, 3])
def test_few_seeds_are_no_surer_than_they_may_be(seeds):
    """Where the spread between seeds matters most: many images."""
    covered, decided = rates(seeds, images=1400, effect=0.0, studies=400)
    assert covered >= 0.93
    assert decided <= 0.05 + error(0.05, 400)


def test_power_grows_with_seeds_and_images():
    power = {at: rates(*at, effect=0.03, studies=100)[1] for at in ((5, 200), (20, 200), (5, 1400), (20, 1400))}
    assert power[5, 200] < min(power[20, 200], power[5, 1400])
    assert max(power[20, 200], power[5, 1400]) < power[20, 1400]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("images", [200, 1400])
def test_large_calibration(images):
    """1,000 studies of each kind: coverage at least 93 %, verdicts on arms alike at most 5 % (and chance)."""
    power = []
    for seeds in (2, 3, 5, 10, 20):
        for effect in (0.0, 0.03):
            covered, decided = rates(seeds, images, effect, 1000)
            print(f"{images} images, {seeds} seeds, effect {effect}: coverage {covered:.3f}, decided {decided:.3f}")
            assert covered >= 0.93
            if effect == 0:
                assert decided <= 0.05 + error(0.05, 1000)
            elif seeds >= 5:
                power.append(decided)
    assert power == sorted(power)
