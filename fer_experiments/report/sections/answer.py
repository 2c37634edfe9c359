"""The header of the page: the answer of the study in one sentence, what speaks against it, and the sweep's progress."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.comparison import Comparison
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import METRIC_TITLES
from fer_experiments.evaluation.verdict import ArmVerdict
from fer_experiments.report.findings import Findings
from fer_experiments.report.growth import describe_growth
from fer_experiments.report.section import ReportContext, Values
from fer_experiments.report.sections.differences import draw_differences
from fer_experiments.report.sections.plain_answer import describe_plainly
from fer_experiments.report.study_record import StudyRecord, training_key
from fer_experiments.runs.start import CONFIG_FILE
from fer_experiments.runs.status import format_duration

OPENINGS = {
    "helps": "Generated images help",
    "hurts": "Generated images hurt",
    "equivalent": "Generated images make no difference",
    "undecided": "Undecided",
}
PLURALS = {"helps": "help", "hurts": "hurt", "equivalent": "are equivalent", "undecided": "are undecided"}
SINGULARS = {"helps": "helps", "hurts": "hurts", "equivalent": "is equivalent", "undecided": "is undecided"}
MAX_NAMED = 3  # arms in a sentence


def build_values(context: ReportContext) -> Values:
    record, findings = context.record, context.findings
    return {
        "name": context.name,
        "plain_answer": describe_plainly(record, findings),
        "headline": describe_answer(record, findings),
        "differences": draw_differences(record, findings),
        "is_smoke_run": is_smoke_run(context.folder),
        "other_arms": describe_other_arms(findings),
        "growth": describe_growth(record, findings.arms),
        "duration": format_duration(record.seconds),
        "cautions": [check for check in context.checks if check.status in ("fail", "warn")],
        "sweeps": context.sweeps,
    }


def describe_answer(record: StudyRecord, findings: Findings) -> str:
    """Return the verdict on the arm with generated images that is best on validation, as one sentence.

    With several settings of the data, say which of them had which verdict.
    """
    if not record.results:
        all_failed = len(record.failed) >= len(record.planned)
        return f"No answer: {'every training failed' if all_failed else 'no training has finished'}."
    if len(findings.best) > 1:
        return _describe_by_data(findings)
    for verdict in findings.best.values():
        return _describe_verdict(verdict, record.question)
    generated = record.generated_arms()
    failed = [
        arm
        for arm in record.arms
        if not record.results_of(arm) and any(training_key(seed, arm) in record.failed for seed in record.seeds)
    ]
    failures = f" (failed: {', '.join(failed)})" if failed else ""
    if not generated:
        return f"No answer: no finished arm used generated images{failures}."
    if any(verdict.generated for verdict in findings.arms):
        count = len(generated)
        arms = ", ".join(generated) if count <= MAX_NAMED else f"{count} arms with generated images"
        return f"Undecided: no simple arm finished to compare with {arms}{failures}."
    return "No answer: the predictions that a verdict needs can't be read."


def _describe_by_data(findings: Findings) -> str:
    """Return "Generated images hurt with data.imbalance=2, 5. Undecided with data.imbalance=10."."""
    sentences = []
    for verdict, opening in OPENINGS.items():
        settings = [
            ArmName(balance="", settings=data).values for data, best in findings.best.items() if best.verdict == verdict
        ]
        if settings:
            sentences.append(f"{opening} with {_list_settings(settings)}.")
    return " ".join(sentences)


def _list_settings(settings: Sequence[Mapping[str, str]]) -> str:
    """Return one key with all its values, or else each setting in full."""
    keys = {key for setting in settings for key in setting}
    if len(keys) == 1 and all(settings):
        (key,) = keys
        return f"{key}={', '.join(setting[key] for setting in settings)}"
    texts = [", ".join(f"{key}={value}" for key, value in setting.items()) for setting in settings]
    return "; ".join(text or "the data as they are" for text in texts)


def _describe_verdict(verdict: ArmVerdict, question: Question) -> str:
    if not verdict.pairs or verdict.verdict != verdict.pairs[0].comparison.verdict:  # undecided for another reason
        return f"Undecided: {verdict.explanation}"
    comparison = verdict.pairs[0].comparison
    metric = METRIC_TITLES[question.metric]
    gains = "gains" if comparison.difference >= 0 else "loses"
    within = f" of {100 * question.margin:g} points or more" if verdict.verdict == "equivalent" else ""
    return (
        f"{OPENINGS[verdict.verdict]}{within}: {verdict.arm} {gains} {100 * abs(comparison.difference):.1f} points of "
        f"{metric} against {verdict.against} ({describe_interval(comparison, question)}, "
        f"{count_seeds(comparison.seeds)}, {comparison.images:,} test images). {verdict.remark}".strip()
    )


def describe_other_arms(findings: Findings) -> str:
    """Return the verdicts on the other arms with generated images: "dcgan hurts against none.".

    Of more than MAX_NAMED, say only how many there are of each: "Of 12 other arms with generated images, 1 hurts and 11
    are undecided.". With several settings of the data there are too many to say anything.
    """
    if len(findings.best) > 1:
        return ""
    verdicts = [verdict for verdict in findings.arms if verdict.generated and verdict not in findings.best.values()]
    if len(verdicts) > MAX_NAMED:
        counts: Counter[str] = Counter(verdict.verdict for verdict in verdicts)
        parts = [f"{counts[name]} {SINGULARS[name] if counts[name] == 1 else PLURALS[name]}"
                 for name in OPENINGS if counts[name]]  # fmt: skip
        listed = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
        return f"Of {len(verdicts)} other arms with generated images, {listed}."
    return " ".join(
        f"{verdict.arm} {SINGULARS[verdict.verdict]}{f' against {verdict.against}' if verdict.against else ''}."
        for verdict in verdicts
    )


def describe_interval(comparison: Comparison, question: Question) -> str:
    """Return "95% interval -1.3 to +0.5"."""
    return f"{100 * question.level:g}% interval {100 * comparison.low:+.1f} to {100 * comparison.high:+.1f}"


def count_seeds(seeds: int) -> str:
    return "one seed" if seeds == 1 else f"{seeds} seeds"


def is_smoke_run(folder: Path) -> bool:
    """Whether config.yaml says that every epoch was cut after a few batches, as trainer=smoke does."""
    file = folder / CONFIG_FILE
    config = yaml.safe_load(file.read_text(encoding="utf-8", errors="replace")) if file.is_file() else None
    return isinstance(config, dict) and config.get("trainer", {}).get("limit_batches") is not None
