"""Every verdict, with the comparisons that it rests on, and what a leak of test images is worth."""

from dataclasses import replace

from fer_experiments.evaluation.arm_comparisons import PairedComparison
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.leak_effect import LeakEffect
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import METRIC_TITLES
from fer_experiments.report.figures.pictures import Picture, draw_picture
from fer_experiments.report.figures.plots import difference_plot
from fer_experiments.report.findings import Findings
from fer_experiments.report.growth import explain_level
from fer_experiments.report.section import ReportContext, Values
from fer_experiments.report.sections.answer import count_seeds, describe_interval
from fer_experiments.report.tables import build_comparisons_table, sort_generated_first

PAPER_GAIN = 0.095  # from 81.50 to 91.00 % accuracy, Surono et al. 2023


def build_values(context: ReportContext) -> Values | None:
    findings, question = context.findings, context.record.question
    if not findings.arms:
        return None
    return {
        "verdicts": sort_generated_first(findings.arms),
        "differences": draw_differences(findings, question),
        "comparisons": build_comparisons_table(findings),
        "level": explain_level(context.record.growth, question.level) if context.record.growth else "",
        "has_several_questions": len(findings.best) > 1,
        "leaks": [explain_leak(effect, question) for effect in findings.leaks],
    }


def draw_differences(findings: Findings, question: Question) -> Picture | None:
    """Draw every comparison with its interval; None if there is none."""
    rows = {
        _name_pair(pair): (
            100 * pair.comparison.difference,
            100 * pair.comparison.low,
            100 * pair.comparison.high,
            arm.verdict if number == 0 else f"({pair.comparison.verdict})",
        )
        for arm in sort_generated_first(findings.arms)
        for number, pair in enumerate(arm.pairs)
    }
    if not rows:
        return None
    metric = METRIC_TITLES[question.metric]
    figure = difference_plot(rows, 100 * question.margin, f"difference in {metric}, points")
    texts = [f"{name} {mean:+.1f} ({low:+.1f} to {high:+.1f})" for name, (mean, low, high, _) in rows.items()]
    return draw_picture(figure, "", f"Paired differences in points: {', '.join(texts)}")


def _name_pair(pair: PairedComparison) -> str:
    """Return "dcgan − none [data.imbalance=10]", with the settings that both have only once."""
    arm, against = ArmName.parse(pair.arm), ArmName.parse(pair.against)
    subtrahend = against.without({key for key, value in against.values.items() if arm.values.get(key) == value})
    settings = f" [{arm.settings}]" if arm.settings else ""
    return f"{replace(arm, settings='')} − {subtrahend}{settings}"


def explain_leak(effect: LeakEffect, question: Question) -> str:
    """Say what the leak is worth, and how far chance alone moves such a difference."""
    clean, leaky = effect.clean, effect.leaky
    half_width = 100 * (leaky.high - leaky.low) / 2
    return (
        f"If the GAN and the choice of the epoch see the test images, {effect.arm} gains "
        f"{100 * leaky.difference:+.1f} points against {effect.against} ({describe_interval(leaky, question)}); "
        f"without the leak, {100 * clean.difference:+.1f} ({describe_interval(clean, question)}). So the leak is worth "
        f"{100 * effect.inflation:+.1f} points here; the gain that the paper reports is {100 * PAPER_GAIN:+.1f}. With "
        f"{count_seeds(leaky.seeds)} and {leaky.images:,} test images such a difference moves by {half_width:.1f} "
        f"points either way by the draw of images{' alone' if leaky.seeds == 1 else ' and trainings'}."
    )
