"""The figure of the arms: how much better each of them is than its best rival, with the interval."""

from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.scores import METRIC_TITLES
from fer_experiments.report.figures.pictures import Picture, draw_picture
from fer_experiments.report.figures.plots import difference_plot
from fer_experiments.report.findings import Findings
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.report.tables import shorten_names, sort_generated_first


def draw_differences(record: StudyRecord, findings: Findings) -> Picture | None:
    """Draw the comparison that decides on each arm; None if there is none."""
    names = shorten_names(record.arms)
    rows = {
        _name_pair(names[arm.arm], names[arm.pairs[0].against]): (
            100 * comparison.difference,
            100 * comparison.low,
            100 * comparison.high,
            arm.verdict,
        )
        for arm in sort_generated_first(findings.arms)
        if arm.pairs and (comparison := arm.pairs[0].comparison)
    }
    if not rows:
        return None
    metric = METRIC_TITLES[record.question.metric]
    figure = difference_plot(rows, 100 * record.question.margin, f"difference in {metric}, points")
    texts = [f"{name} {mean:+.1f} ({low:+.1f} to {high:+.1f})" for name, (mean, low, high, _) in rows.items()]
    return draw_picture(figure, "", f"Paired differences in points: {', '.join(texts)}")


def _name_pair(arm: str, against: str) -> str:
    """Return "dcgan − none [data.imbalance=10]", with the settings that both have only once."""
    name, rival = ArmName.parse(arm), ArmName.parse(against)
    shared = {key for key, value in rival.values.items() if name.values.get(key) == value}
    settings = f" [{name.settings}]" if name.settings else ""
    return f"{name.without({*name.values})} − {rival.without(shared)}{settings}"
