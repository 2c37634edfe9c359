"""The scores of every arm on test, and the trainings without a result."""

from math import isnan
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from fer_experiments.enumeration import MAX_NAMED
from fer_experiments.evaluation.scores import METRIC_TITLES
from fer_experiments.report.figures.pictures import Picture, draw_picture
from fer_experiments.report.figures.plots import dot_plot
from fer_experiments.report.findings import Findings
from fer_experiments.report.section import ReportContext, Values
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.report.tables import MAX_RECALLS, build_recall_table, build_summary_table

if TYPE_CHECKING:
    import pandas as pd

NAMED = 5  # classes of least and of most recall


def build_values(context: ReportContext) -> Values:
    record, findings = context.record, context.findings
    return {
        "dots": draw_dots(record, findings) if record.results else None,
        "has_intervals": bool(findings.estimates),
        "table": build_summary_table(record),
        "recalls": build_class_recalls(record),
        "unfinished": record.unfinished_trainings(),
    }


class ClassRecalls(NamedTuple):
    """The recalls of more classes than the table of arms has room for.

    extremes: (arm, its classes of least recall, those of most) as text, of more than MAX_NAMED classes; arms: of the
    columns of `rows`; rows: (class, its recall by each arm as text), that of the first arm rising.
    """

    extremes: list[tuple[str, str, str]]
    arms: list[str]
    rows: list[tuple[str, list[str]]]


def build_class_recalls(record: StudyRecord) -> ClassRecalls | None:
    """Return the recalls of the classes; None if they are so few that the table of arms has them."""
    table = build_recall_table(record)
    if len(table) <= MAX_RECALLS:
        return None
    table = table.sort_values(list(table.columns[:1]), kind="stable")
    extremes = []
    for arm in table.columns if len(table) > MAX_NAMED else ():
        ordered = table[arm].dropna().sort_values(kind="stable")
        extremes.append((arm, _describe_recalls(ordered[:NAMED]), _describe_recalls(ordered[::-1][:NAMED])))
    rows = [
        (str(name), [_format_recall(value) for value in row])
        for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    return ClassRecalls(extremes, list(table.columns), rows)


def _describe_recalls(recalls: "pd.Series[float]") -> str:
    return ", ".join(f"{name} {_format_recall(value)}" for name, value in recalls.items())


def _format_recall(value: float) -> str:
    return "" if isnan(value) else f"{value:.1%}"


def draw_dots(record: StudyRecord, findings: Findings) -> Picture:
    """Draw the study's metric: a dot for each seed of each arm, the mean, and its interval."""
    metric = METRIC_TITLES[record.question.metric]
    scores = {arm: list(record.scores(arm).values()) for arm in record.arms}
    means = ", ".join(f"{arm} {100 * fmean(values):.1f}%" for arm, values in scores.items() if values)
    intervals = {arm: (estimate.low, estimate.high) for arm, estimate in findings.estimates.items()}
    figure = dot_plot(scores, record.generated_arms(), f"{metric} on test", intervals)
    return draw_picture(figure, "", f"Mean {metric} on test: {means}")
