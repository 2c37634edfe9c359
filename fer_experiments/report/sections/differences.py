"""The figure of all comparisons of a study, each with its interval."""

from dataclasses import replace

from fer_experiments.evaluation.arm_comparisons import PairedComparison
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import METRIC_TITLES
from fer_experiments.report.figures.pictures import Picture, draw_picture
from fer_experiments.report.figures.plots import difference_plot
from fer_experiments.report.findings import Findings
from fer_experiments.report.tables import sort_generated_first


def draw_differences(findings: Findings, question: Question) -> Picture | None:
    """Draw every comparison with its interval; None if there is none."""
    rows = {
        _name_pair(pair): (
            100 * pair.comparison.difference,
            100 * pair.comparison.low,
            100 * pair.comparison.high,
            pair.comparison.verdict if number else arm.verdict,
            number == 0,
        )
        for arm in sort_generated_first(findings.arms)
        for number, pair in enumerate(arm.pairs)
    }
    if not rows:
        return None
    metric = METRIC_TITLES[question.metric]
    figure = difference_plot(rows, 100 * question.margin, f"difference in {metric}, points")
    texts = [f"{name} {mean:+.1f} ({low:+.1f} to {high:+.1f})" for name, (mean, low, high, *_) in rows.items()]
    return draw_picture(figure, "", f"Paired differences in points: {', '.join(texts)}")


def _name_pair(pair: PairedComparison) -> str:
    """Return "dcgan − none [data.imbalance=10]", with the settings that both have only once."""
    arm, against = ArmName.parse(pair.arm), ArmName.parse(pair.against)
    subtrahend = against.without({key for key, value in against.values.items() if arm.values.get(key) == value})
    settings = f" [{arm.settings}]" if arm.settings else ""
    return f"{replace(arm, settings='')} − {subtrahend}{settings}"
