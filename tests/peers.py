"""How often other ways to compare classifiers find what is there in simulated studies, and what is not.

Each is asked what the verdict is asked, whether generated images help: whether it calls dcgan better than every simple
arm, or with autorank than all arms at once.

    pip install -e ".[peers]"
    python -m tests.peers --studies 1000
"""

import argparse
import contextlib
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from fer_experiments.evaluation import comparison
from fer_experiments.evaluation.arm_comparisons import ArmPredictions
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import score
from fer_experiments.evaluation.verdict import decide_verdicts
from tests.simulation import simulate_study

EVEN, FEW = np.arange(1400) % 2, np.repeat([0, 1], [190, 10])
LEVEL, ROPE = 0.95, 0.005
ASO_BOOTSTRAPS = 100  # its default of 1,000 takes three seconds for a pair
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Case:
    """Arms with their accuracies, the seeds of each, and the labels of the test images."""

    accuracies: dict[str, float]
    seeds: int
    labels: Array


# The hardest cases of no gain: the baseline is easily beaten, the other simple arm is as good as dcgan.
NULL, FEW_NULL = {"none": 0.75, "simple": 0.8, "dcgan": 0.8}, {"none": 0.6, "simple": 0.8, "dcgan": 0.8}
GAIN, FEW_GAIN = {"none": 0.75, "simple": 0.8, "dcgan": 0.83}, {"none": 0.6, "simple": 0.75, "dcgan": 0.85}
CASES = {
    "error: 0, 5 seeds": Case(NULL, 5, EVEN),
    "error: 0, 10 seeds": Case(NULL, 10, EVEN),
    "error: 0, 20 seeds": Case(NULL, 20, EVEN),
    "error: 0, 10 of 200 images, 10 seeds": Case(FEW_NULL, 10, FEW),
    "power: +3, 5 seeds": Case(GAIN, 5, EVEN),
    "power: +3, 10 seeds": Case(GAIN, 10, EVEN),
    "power: +10, 10 of 200 images, 10 seeds": Case(FEW_GAIN, 10, FEW),
}

Judge = Callable[[Sequence[ArmPredictions], Array], bool]
IsBetter = Callable[[Array, Array], bool]


def against_each(is_better: IsBetter) -> Judge:
    """Return a judge that calls dcgan helpful if its scores (S,) are better than those of each simple arm."""

    def judge(arms: Sequence[ArmPredictions], labels: Array) -> bool:
        *simple, dcgan = (score(arm.predictions, labels) for arm in arms)
        return all(is_better(dcgan, rival) for rival in simple)

    return judge


def t_test(a: Array, b: Array) -> bool:
    """Student's paired t-test over the seeds, two-sided."""
    return bool(a.mean() > b.mean() and stats.ttest_rel(a, b).pvalue <= 1 - LEVEL)


def wilcoxon(a: Array, b: Array) -> bool:
    """Wilcoxon's signed-rank test over the seeds, two-sided."""
    return bool(a.mean() > b.mean() and (a != b).any() and stats.wilcoxon(a, b).pvalue <= 1 - LEVEL)


def outperforms(a: Array, b: Array) -> bool:
    """Bouthillier et al. 2021: P(A > B) is at least 0.75, and its bootstrap interval lies above 0.5."""
    wins = (a > b) + (a == b) / 2
    drawn = np.random.default_rng(0).choice(wins, (1000, len(wins))).mean(1)
    return bool(wins.mean() >= 0.75 and np.quantile(drawn, (1 - LEVEL) / 2) > 0.5)


def correlated_t_test(a: Array, b: Array) -> bool:
    """baycomp's Bayesian correlated t-test with a region of practical equivalence."""
    import baycomp

    return bool(baycomp.two_on_single(a, b, ROPE)[0] >= LEVEL)


def almost_stochastic_order(a: Array, b: Array) -> bool:
    """deep-significance's ASO, corrected for two rivals, with the threshold 0.2 that its authors advise."""
    from deepsig import aso

    ratio = aso(a, b, LEVEL, 2, num_bootstrap_iterations=ASO_BOOTSTRAPS, show_progress=False, seed=0)
    return bool(ratio < 0.2)


def mcnemar(arms: Sequence[ArmPredictions], labels: Array) -> bool:
    """The exact test of McNemar on the images of the first seed, two-sided, against each simple arm."""
    *simple, dcgan = (arm.predictions[0] == labels for arm in arms)
    for rival in simple:
        fixed, broken = int((dcgan & ~rival).sum()), int((rival & ~dcgan).sum())
        if fixed <= broken or stats.binomtest(fixed, fixed + broken).pvalue > 1 - LEVEL:
            return False
    return True


def autorank_(arms: Sequence[ArmPredictions], labels: Array) -> bool:
    """autorank over all arms: its omnibus test, then its post-hoc test of dcgan against the next best."""
    import pandas as pd
    from autorank import autorank

    with contextlib.redirect_stdout(io.StringIO()):  # it prints its table
        result = autorank(pd.DataFrame({arm.name: score(arm.predictions, labels) for arm in arms}), alpha=1 - LEVEL)
    ranks = result.rankdf.sort_values("meanrank")
    if result.pvalue >= 1 - LEVEL or ranks.index[0] != "dcgan":
        return False
    if result.posthoc == "nemenyi":
        return bool((ranks["meanrank"].iloc[1:] - ranks["meanrank"].iloc[0] > result.cd).all())
    return bool((ranks["ci_upper"].iloc[1:] < ranks["ci_lower"].iloc[0]).all())


def verdict(arms: Sequence[ArmPredictions], labels: Array) -> bool:
    """The verdict of this package."""
    return {each.arm: each.verdict for each in decide_verdicts(arms, labels, Question())}["dcgan"] == "helps"


JUDGES: dict[str, Judge] = {
    "fer_experiments": verdict,
    "paired t-test over seeds": against_each(t_test),
    "Wilcoxon over seeds": against_each(wilcoxon),
    "baycomp, correlated t-test, rope 0.5": against_each(correlated_t_test),
    "autorank": autorank_,
    "deep-significance (ASO < 0.2)": against_each(almost_stochastic_order),
    "P(A > B) ≥ 0.75 (Bouthillier)": against_each(outperforms),
    "McNemar on one seed": mcnemar,
}


def measure(judge: Judge, case: Case, studies: int) -> float:
    """Return the share of simulated studies in which the judge calls generated images helpful."""
    rng = np.random.default_rng(0)
    count = 0
    for _ in range(studies):
        count += judge(simulate_study(rng, case.accuracies, case.seeds, case.labels), case.labels)
    return count / studies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000, help="simulated studies of each case")
    parser.add_argument("--judges", nargs="*", default=list(JUDGES), choices=list(JUDGES), metavar="NAME")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of tests on equal scores
    comparison.sign_flip_p_value = lambda differences, seed: 1.0  # no verdict depends on it, and it takes most time
    print(f"| judge | {' | '.join(CASES)} |\n| --- |{' --: |' * len(CASES)}")
    for name in arguments.judges:
        shares = [measure(JUDGES[name], case, arguments.studies) for case in CASES.values()]
        print(f"| {name} | {' | '.join(f'{share:.1%}' for share in shares)} |", flush=True)


if __name__ == "__main__":
    main()
