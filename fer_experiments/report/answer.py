"""The answer of a study in one sentence."""

from collections import Counter
from collections.abc import Mapping, Sequence

from fer_experiments.evaluation.arms import ArmName
from fer_experiments.evaluation.statistics import Comparison
from fer_experiments.evaluation.verdict import ArmVerdict, LeakEffect, Question
from fer_experiments.report.study import StudyRecord
from fer_experiments.report.verdicts import Findings

SAID = {
    "helps": "Generated images help",
    "hurts": "Generated images hurt",
    "equivalent": "Generated images make no difference",
    "undecided": "Undecided",
}
MOST_NAMED = 3  # arms in a sentence
PAPER_GAIN = 0.095  # 81.50 to 91.00 % accuracy, Surono et al. 2023


def headline(record: StudyRecord, findings: Findings) -> str:
    """The verdict on the arm with generated images that is best on validation; of several data, which had which."""
    if not record.results:
        all_failed = len(record.failed) >= len(record.arms) * len(record.seeds)
        return f"No answer: {'every training failed' if all_failed else 'no training has finished'}."
    if len(findings.best) > 1:
        return _of_several(findings)
    for said in findings.best.values():
        return _sentence(said, record.question)
    generated = generated_arms(record)
    lost = [arm for arm in record.arms if not record.of_arm(arm) and any(arm in where for where in record.failed)]
    also = f" (failed: {', '.join(lost)})" if lost else ""
    if not generated:
        return f"No answer: no finished arm used generated images{also}."
    if any(said.generated for said in findings.arms):
        beside = (
            ", ".join(generated) if len(generated) <= MOST_NAMED else f"{len(generated)} arms with generated images"
        )
        return f"Undecided: no simple arm finished beside {beside}{also}."
    return "No answer: the predictions that a verdict needs can't be read."


def _of_several(findings: Findings) -> str:
    """ "Generated images hurt with data.imbalance=2, 5. Undecided with data.imbalance=10." """
    sentences = []
    for verdict, begin in SAID.items():
        found = [ArmName(balance="", settings=data).values for data, said in findings.best.items()
                 if said.verdict == verdict]  # fmt: skip
        if found:
            sentences.append(f"{begin} with {_listed(found)}.")
    return " ".join(sentences)


def _listed(settings: Sequence[Mapping[str, str]]) -> str:
    """One key with all its values, or several settings as they are written."""
    keys = {key for one in settings for key in one}
    if len(keys) == 1 and all(settings):
        (key,) = keys
        return f"{key}={', '.join(one[key] for one in settings)}"
    written = [", ".join(f"{key}={value}" for key, value in one.items()) for one in settings]
    return "; ".join(one or "the data as they are" for one in written)


def _sentence(said: ArmVerdict, question: Question) -> str:
    if not said.pairs or said.verdict != said.pairs[0].comparison.verdict:  # undecided for another reason
        return f"Undecided: {said.explanation}"
    comparison = said.pairs[0].comparison
    metric = question.metric.replace("_", " ")
    gains = "gains" if comparison.difference >= 0 else "loses"
    many = "one seed" if comparison.seeds == 1 else f"{comparison.seeds} seeds"
    within = f" of {100 * question.margin:g} points or more" if said.verdict == "equivalent" else ""
    corrected = comparison.verdict == "undecided" and comparison.low * comparison.high > 0
    doubt = "; not enough, corrected for all comparisons made" if corrected and comparison.seeds > 1 else ""
    return (
        f"{SAID[said.verdict]}{within}: {said.arm} {gains} {100 * abs(comparison.difference):.1f} points of {metric} "
        f"against {said.against} ({interval(comparison, question)}, {many}, {comparison.images:,} test images{doubt})."
    )


def in_a_word(findings: Findings) -> str:
    """The other arms with generated images: "dcgan hurts against none.", or of many how many: "Of 12 other arms with
    generated images: 1 hurts, 11 undecided." Of several data there are too many to say.
    """
    if len(findings.best) > 1:
        return ""
    others = [said for said in findings.arms if said.generated and said not in findings.best.values()]
    if len(others) > MOST_NAMED:
        counts: Counter[str] = Counter(said.verdict for said in others)
        found = ", ".join(f"{counts[verdict]} {verdict}" for verdict in SAID if counts[verdict])
        return f"Of {len(others)} other arms with generated images: {found}."
    words: list[str] = []
    for said in others:
        word = f"is {said.verdict}" if said.verdict in ("equivalent", "undecided") else said.verdict
        words.append(f"{said.arm} {word}{f' against {said.against}' if said.against else ''}.")
    return " ".join(words)


def interval(comparison: Comparison, question: Question) -> str:
    """ "95% interval -1.3 to +0.5"."""
    return f"{100 * question.level:g}% interval {100 * comparison.low:+.1f} to {100 * comparison.high:+.1f}"


def explain_leak(effect: LeakEffect, question: Question) -> str:
    """What the leak is worth, and how far the draw of the test images alone moves a difference."""
    clean, leaky = effect.clean, effect.leaky
    many = "one seed" if leaky.seeds == 1 else f"{leaky.seeds} seeds"
    return (
        f"With test images seen by the GAN and by the choice of the epoch {effect.arm} gains "
        f"{100 * leaky.difference:+.1f} points against {effect.against} ({interval(leaky, question)}), without "
        f"{100 * clean.difference:+.1f} ({interval(clean, question)}): the leak is worth {100 * effect.inflation:+.1f} "
        f"points here, of the {100 * PAPER_GAIN:+.1f} that the paper reports. With {many} and {leaky.images:,} test "
        f"images such a difference moves by {100 * (leaky.high - leaky.low) / 2:.1f} points either way by the draw of "
        "images" + (" alone." if leaky.seeds == 1 else " and trainings.")
    )


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def scores(record: StudyRecord, arm: str) -> dict[int, float]:
    """{seed: the study's metric on test} of the seeds that an arm finished; older results lack some."""
    found = {result.seed: result.metrics["test"].get(record.question.metric) for result in record.of_arm(arm)}
    return {seed: float(score) for seed, score in found.items() if score is not None}


def generated_arms(record: StudyRecord) -> list[str]:
    """Arms that were given generated images; one that asked for none (the classes were even) is a simple arm."""
    return [arm for arm in record.arms if any(sum(result.generated.values()) for result in record.of_arm(arm))]
