"""The scores of every arm on test, and the trainings without a result."""

from statistics import fmean

from fer_experiments.evaluation.scores import METRIC_TITLES
from fer_experiments.report.figures.pictures import Picture, draw_picture
from fer_experiments.report.figures.plots import dot_plot
from fer_experiments.report.findings import Findings
from fer_experiments.report.section import ReportContext, Values
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.report.tables import build_summary_table


def build_values(context: ReportContext) -> Values:
    record, findings = context.record, context.findings
    return {
        "dots": draw_dots(record, findings) if record.results else None,
        "has_intervals": bool(findings.estimates),
        "table": build_summary_table(record),
        "unfinished": record.unfinished_trainings(),
    }


def draw_dots(record: StudyRecord, findings: Findings) -> Picture:
    """Draw the study's metric: a dot for each seed of each arm, the mean, and its interval."""
    metric = METRIC_TITLES[record.question.metric]
    scores = {arm: list(record.scores(arm).values()) for arm in record.arms}
    means = ", ".join(f"{arm} {100 * fmean(values):.1f} %" for arm, values in scores.items() if values)
    intervals = {arm: (estimate.low, estimate.high) for arm, estimate in findings.estimates.items()}
    figure = dot_plot(scores, record.generated_arms(), f"{metric} on test", intervals)
    return draw_picture(figure, "", f"Mean {metric} on test: {means}")
