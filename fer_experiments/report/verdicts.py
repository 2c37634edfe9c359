"""The verdicts of a study, from the predictions that its trainings left."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.evaluation.result import Result
from fer_experiments.evaluation.statistics import Estimate, estimate, score
from fer_experiments.evaluation.verdict import Arm, ArmVerdict, LeakEffect, Question, judge, leak_effects
from fer_experiments.report.study import StudyRecord
from fer_experiments.whole import whole

FILE = "verdict.json"


@dataclass(frozen=True)
class Findings:
    """What the predictions of a study say. images: of the test part, the same for all that is compared.

    arms: verdicts of all arms but the baseline and leaks; best: the arm with generated images that is best on
    validation, for each setting of the data: {"data.imbalance=10": its verdict}, which is {"": its verdict} where the
    data are the same for all; problems: sentences on what had to be left out.
    """

    estimates: dict[str, Estimate]
    arms: list[ArmVerdict]
    leaks: list[LeakEffect]
    best: dict[str, ArmVerdict]
    images: int
    problems: list[str]

    def save(self, folder: Path, question: Question) -> None:
        """verdict.json."""
        content = {"question": question.model_dump(), **asdict(self)}
        with whole(folder / FILE) as temporary:
            temporary.write_text(json.dumps(content, indent=1))


class _Training(NamedTuple):
    result: Result
    valid: Predictions
    test: Predictions

    @property
    def measured_on(self) -> tuple[tuple[str, ...], tuple[int, ...], bytes]:
        """The same for two trainings that were measured on the same test images and classes, in the same order."""
        hashes = "\n".join(self.test.content_hash).encode("utf-8", "surrogateescape")
        return self.test.classes, tuple(self.test.labels.tolist()), hashes


def find_verdicts(record: StudyRecord, folder: Path) -> Findings:
    """Read the predictions of every result in `folder`; what can't be read or compared is left out and named."""
    trainings, problems = [], []
    for result in record.results:
        where = record.folder_of(result, folder)
        try:
            trainings.append(_Training(result, Predictions.load(where, "valid"), Predictions.load(where, "test")))
        except ValueError as error:
            problems.append(f"seed {result.seed}, {result.arm}: has no part in the verdict: {error}")
    if not trainings:
        return Findings({}, [], [], {}, 0, problems)
    usual = Counter(training.measured_on for training in trainings).most_common(1)[0][0]
    for training in trainings:
        if training.measured_on != usual:
            problems.append(
                f"seed {training.result.seed}, {training.result.arm}: was measured on other test images or labels than "
                "the others and has no part in the verdict"
            )
    trainings = [training for training in trainings if training.measured_on == usual]
    labels = trainings[0].test.labels
    arms = [arm for name in record.arms if (arm := _arm(name, trainings, record.question)) is not None]
    question = record.question
    found = judge([arm for arm in arms if not arm.parsed.leak], labels, question)
    return Findings(
        estimates={arm.name: estimate(arm.predictions, labels, question.metric, question.level) for arm in arms},
        arms=found,
        leaks=leak_effects(arms, labels, question),
        best=_best(found, {arm.name: arm for arm in arms}),
        images=len(labels),
        problems=problems,
    )


def _best(found: Sequence[ArmVerdict], arms: Mapping[str, Arm]) -> dict[str, ArmVerdict]:
    best: dict[str, ArmVerdict] = {}
    for said in sorted(found, key=lambda said: -arms[said.arm].validation):
        if said.generated and said.against is not None:
            best.setdefault(arms[said.arm].parsed.data, said)
    return {data: best[data] for data in dict.fromkeys(arm.parsed.data for arm in arms.values()) if data in best}


def _arm(name: str, trainings: Sequence[_Training], question: Question) -> Arm | None:
    mine = [training for training in trainings if training.result.arm == name]
    if not mine:
        return None
    valid = [score(one.valid.predicted[None], one.valid.labels, question.metric)[0] for one in mine]
    return Arm(
        name,
        {one.result.seed: one.result.split_hash for one in mine},
        np.stack([one.test.predicted for one in mine]),
        float(np.mean(valid)),
        any(sum(one.result.generated.values()) for one in mine),
    )


def generated_first(arms: Sequence[ArmVerdict]) -> list[ArmVerdict]:
    """In the order of a reader's interest."""
    return sorted(arms, key=lambda said: not said.generated)


def comparisons(findings: Findings) -> pd.DataFrame:
    """One row a comparison, as a person reads it; the verdict of an arm stands in the row that it names."""
    rows = []
    for said in generated_first(findings.arms):
        for number, pair in enumerate(said.pairs):
            one = pair.comparison
            rows.append(
                {
                    "arm": pair.arm,
                    "against": pair.against,
                    "verdict": said.verdict if number == 0 else f"({one.verdict})",
                    "difference": _points(one.difference),
                    "interval": f"{_points(one.low)} to {_points(one.high)}",
                    "p (Holm)": f"{pair.interval_p_value:.3g}",
                    "sign-flip p (Holm)": f"{pair.sign_flip_p_value:.3g}",
                    "P(better)": f"{one.probability_of_outperforming:.0%}",
                    "fixed / broken": f"{one.fixed:.0f} / {one.broken:.0f}",
                    "resolvable": f"{100 * one.resolvable:.1f}",
                    "seeds": str(one.seeds),
                }
            )
    return pd.DataFrame(rows)


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"
