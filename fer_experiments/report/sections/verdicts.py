"""Every verdict, with the comparisons that it rests on, and what a leak of test images is worth."""

from fer_experiments.evaluation.leak_effect import LeakEffect
from fer_experiments.evaluation.question import Question
from fer_experiments.report.growth import explain_level
from fer_experiments.report.section import ReportContext, Values
from fer_experiments.report.sections.answer import count_seeds, describe_interval
from fer_experiments.report.tables import build_comparisons_table, sort_generated_first

PAPER_GAIN = 0.095  # from 81.50 to 91.00% accuracy, Surono et al. 2023


def build_values(context: ReportContext) -> Values | None:
    findings, question = context.findings, context.record.question
    if not findings.arms:
        return None
    return {
        "verdicts": sort_generated_first(findings.arms),
        "comparisons": build_comparisons_table(findings),
        "level": explain_level(context.record.growth, question.level) if context.record.growth else "",
        "has_several_questions": len(findings.best) > 1,
        "leaks": [explain_leak(effect, question) for effect in findings.leaks],
    }


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
