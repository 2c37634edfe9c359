"""How often the whole rule of a verdict errs, and how often it sees what is there, in simulated studies.

The large simulation, a thousand studies of each kind: pytest -m slow -s tests/test_verdict_calibration.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from fer_experiments.evaluation import comparison
from fer_experiments.evaluation.looks import plan_looks
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.sequential import choose_stop, look_level
from fer_experiments.evaluation.verdict import ArmVerdict, decide_verdicts
from tests.simulation import simulate_study

EVEN = np.arange(1400) % 2
FEW = np.repeat([0, 1], [190, 10])
SEVEN = np.arange(700) % 7
SIMPLE = tuple(f"simple{number}" for number in range(14))


@dataclass(frozen=True)
class Kind:
    """A kind of study.

    truth: the difference of dcgan from simple0 in the mean over trainings; helps: the least and the largest share of
    studies that may say so; covered: the least share whose interval holds the truth; cluster_size: how many images in a
    row are alike.
    """

    accuracies: Mapping[str, float]
    seeds: int
    labels: np.ndarray = field(default_factory=lambda: EVEN)
    truth: float = 0.0
    helps: tuple[float, float] = (0.0, 0.025)
    covered: float = 0.93
    collapses: Mapping[str, float] = field(default_factory=dict)
    cluster_size: int = 1


def build_arms(gain: float, simple: int = 1, generated: int = 1, baseline: float = 0.8) -> dict[str, float]:
    """Return {arm: accuracy} of none, simple arms of 0.8, dcgan with 0.8 + gain and further generated arms of 0.8."""
    arms = {"none": baseline, **dict.fromkeys(SIMPLE[:simple], 0.8), "dcgan": 0.8 + gain}
    return arms | {f"dcgan [gan.epochs={number}]": 0.8 for number in range(1, generated)}


KINDS = {
    "+3, 3 arms, 5 seeds": Kind(build_arms(0.03), 5, truth=0.03, helps=(0.55, 1)),
    "+3, 4 arms, 5 seeds": Kind(build_arms(0.03, simple=2), 5, truth=0.03, helps=(0.55, 1)),
    "+3, 17 arms, 8 generated, 5 seeds": Kind(build_arms(0.03, simple=8, generated=8), 5, truth=0.03, helps=(0.05, 1)),
    "+3, 4 arms, 10 seeds": Kind(build_arms(0.03, simple=2), 10, truth=0.03, helps=(0.9, 1)),
    "+10, 10 of 200 images, 5 seeds": Kind(
        {"none": 0.75, "simple0": 0.75, "dcgan": 0.85}, 5, FEW, truth=0.1, helps=(0.35, 1)
    ),
    "+10, 10 of 200 images, 20 seeds": Kind(
        {"none": 0.75, "simple0": 0.75, "dcgan": 0.85}, 20, FEW, truth=0.1, helps=(0.45, 1), covered=0.92
    ),
    "0, 3 arms, 5 seeds": Kind(build_arms(0), 5),
    "0, 8 simple arms, 5 seeds": Kind(build_arms(0, simple=8), 5),
    "0, baseline 3 worse, 5 seeds": Kind(build_arms(0, baseline=0.77), 5),
    "0, baseline 3 worse, 10 seeds": Kind(build_arms(0, baseline=0.77), 10),
    "0, 8 generated arms, 5 seeds": Kind(build_arms(0, generated=8), 5),
    "0, 10 of 200 images, 10 seeds": Kind({"none": 0.8, "simple0": 0.8, "dcgan": 0.8}, 10, FEW),
    "0, clusters of 5 images, 5 seeds": Kind(build_arms(0), 5, np.repeat([0, 1], 700), cluster_size=5),
    "0, seven classes, 5 seeds": Kind(build_arms(0), 5, SEVEN),
    "dcgan collapses in 20 %, 5 seeds": Kind(build_arms(0), 5, truth=-0.06, covered=0.6, collapses={"dcgan": 0.2}),
    "dcgan collapses in 20 %, 20 seeds": Kind(build_arms(0), 20, truth=-0.06, covered=0.88, collapses={"dcgan": 0.2}),
    "simple0 collapses in 20 %, 10 seeds": Kind(
        build_arms(0, baseline=0.8), 10, truth=0.06, covered=0.85, collapses={"simple0": 0.2}
    ),
}


@pytest.fixture(autouse=True)
def _without_sign_flips(monkeypatch):
    """Leave out the sign flips, which take most of the time; no verdict depends on them."""
    monkeypatch.setattr(comparison, "sign_flip_p_value", lambda differences, seed: 1.0)


def decide_on_dcgan(kind: Kind, rng: np.random.Generator) -> ArmVerdict:
    arms = simulate_study(rng, kind.accuracies, kind.seeds, kind.labels, kind.collapses, kind.cluster_size)
    clusters = np.arange(len(kind.labels)) // kind.cluster_size
    verdicts = decide_verdicts(arms, kind.labels, Question(), clusters)
    return next(verdict for verdict in verdicts if verdict.arm == "dcgan")


def simulate_shares(name: str, studies: int) -> tuple[dict[str, float], float]:
    """Return {verdict: share of studies}, and the share whose interval against simple0 holds the truth."""
    kind, rng = KINDS[name], np.random.default_rng([*name.encode()])
    verdicts = [decide_on_dcgan(kind, rng) for _ in range(studies)]
    pairs = [next(pair for pair in verdict.pairs if pair.against == "simple0") for verdict in verdicts]
    covered = np.mean([pair.comparison.low <= kind.truth <= pair.comparison.high for pair in pairs])
    names = [verdict.verdict for verdict in verdicts]
    return {word: names.count(word) / studies for word in ("helps", "hurts", "equivalent", "undecided")}, float(covered)


def chance(share: float, studies: int) -> float:
    """Return two standard errors of a simulated share."""
    return 2 * float(np.sqrt(share * (1 - share) / studies))


def check_promise(kind: Kind, helps: float, covered: float, studies: int) -> None:
    """Check the share of studies that say "helps", and of those whose interval holds the truth."""
    least, largest = kind.helps
    assert least - chance(least, studies) <= helps <= largest + chance(largest, studies)
    assert covered >= kind.covered - chance(kind.covered, studies)


def check(name: str, studies: int) -> None:
    kind, (shares, covered) = KINDS[name], simulate_shares(name, studies)
    print(f"| {name} | {shares['helps']:.1%} | {shares['hurts']:.1%} | {shares['equivalent']:.1%} | {covered:.1%} |")
    check_promise(kind, shares["helps"], covered, studies)


GROWING = {
    "+10, 3 arms": Kind(build_arms(0.1), 20, truth=0.1, helps=(0.98, 1)),
    "+3, 4 arms": Kind(build_arms(0.03, simple=2), 20, truth=0.03, helps=(0.85, 1)),
    "+10, 10 of 200 images": Kind(
        {"none": 0.75, "simple0": 0.75, "dcgan": 0.85}, 20, FEW, truth=0.1, helps=(0.3, 1), covered=0.92
    ),
    "0, 3 arms": Kind(build_arms(0), 20),
    "0, 5 generated arms": Kind(build_arms(0, generated=5), 20),
    "0, baseline 3 worse": Kind(build_arms(0, baseline=0.77), 20),
    "dcgan collapses in 20 %": Kind(build_arms(0), 20, truth=-0.06, covered=0.8, collapses={"dcgan": 0.2}),
}
"""Kinds of studies that grow to 20 seeds."""


def grow(kind: Kind, rng: np.random.Generator) -> tuple[ArmVerdict, int, str]:
    """Return the verdict on dcgan at the look at which the study stops, the seeds of that look, and why it stops."""
    arms = simulate_study(rng, kind.accuracies, kind.seeds, kind.labels, kind.collapses, kind.cluster_size)
    looks = plan_looks(kind.seeds)
    question = Question(level=look_level(looks, 0.95))
    for look in looks:
        present = [
            replace(arm, splits={seed: arm.splits[seed] for seed in range(look)}, predictions=arm.predictions[:look])
            for arm in arms
        ]
        verdicts = decide_verdicts(present, kind.labels, question)
        stop = choose_stop(verdicts, look, looks[-1], question)
        if stop is not None:
            return next(verdict for verdict in verdicts if verdict.arm == "dcgan"), look, stop
    raise AssertionError("the last look always stops")


def check_growing(name: str, studies: int) -> None:
    kind, rng = GROWING[name], np.random.default_rng([*name.encode()])
    outcomes = [grow(kind, rng) for _ in range(studies)]
    names = [verdict.verdict for verdict, _, _ in outcomes]
    pairs = [next(pair for pair in verdict.pairs if pair.against == "simple0") for verdict, _, _ in outcomes]
    covered = float(np.mean([pair.comparison.low <= kind.truth <= pair.comparison.high for pair in pairs]))
    helps, hurts, equivalent = (names.count(word) / studies for word in ("helps", "hurts", "equivalent"))
    hopeless = [stop for _, _, stop in outcomes].count("hopeless") / studies
    seeds = np.mean([look for _, look, _ in outcomes])
    print(f"| {name} | {helps:.1%} | {hurts:.1%} | {equivalent:.1%} | {hopeless:.1%} | {seeds:.1f} | {covered:.1%} |")
    check_promise(kind, helps, covered, studies)


@pytest.mark.parametrize("name", ["+10, 3 arms", "0, 3 arms"])
def test_30_growing_studies_of_a_kind_say_what_is_there(name):
    check_growing(name, 30)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", GROWING)
def test_1000_growing_studies_of_a_kind_say_what_is_there(name):
    check_growing(name, 1000)


@pytest.mark.parametrize(
    "name", ["+3, 4 arms, 5 seeds", "0, baseline 3 worse, 5 seeds", "+10, 10 of 200 images, 5 seeds"]
)
def test_60_studies_of_a_kind_say_what_is_there(name):
    check(name, 60)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", KINDS)
def test_1000_studies_of_a_kind_say_what_is_there(name):
    check(name, 1000)
