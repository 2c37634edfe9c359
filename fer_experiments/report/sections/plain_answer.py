"""The answer of a study in one sentence without technical terms."""

from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.result import Result
from fer_experiments.evaluation.verdict import ArmVerdict
from fer_experiments.report.findings import Findings
from fer_experiments.report.study_record import StudyRecord

# What a strategy of conf/balance does, in words that complete "compared with …"; another is called by its name.
PLAIN_NAMES = {
    "none": "the images as they are",
    "oversample": "repeating images of the small classes",
    "copies": "repeating images of the small classes",
    "undersample": "leaving out images of the large classes",
    "class_weight": "giving the small classes more weight",
    "smote": "mixing images of the small classes",
}


def describe_plainly(record: StudyRecord, findings: Findings) -> str:
    """Return "540 generated images of angry made the classifier about 17 points worse than …".

    Return "" if the study has several questions, or no verdict on generated images that rests on a comparison.
    """
    if len(findings.best) != 1:
        return ""
    (verdict,) = findings.best.values()
    if not verdict.pairs:
        return ""
    return _describe(verdict, record.question, _count_generated(record.results_of(verdict.arm)[0]))


def _describe(verdict: ArmVerdict, question: Question, images: str) -> str:
    pair = verdict.pairs[0]
    comparison, rival = pair.comparison, _name_plainly(pair.against)
    points = _format_points(abs(100 * comparison.difference))
    match verdict.verdict:
        case "helps":
            return f"{images} made the classifier about {points} better than {rival}, which did best without them."
        case "hurts":
            return f"{images} made the classifier about {points} worse than {rival}."
        case "equivalent":
            return f"{images} made no difference of {100 * question.margin:g} points or more, compared with {rival}."
    if comparison.seeds == 1:
        return f"One training of each kind can't say whether {images} help."
    low, high = 100 * comparison.low, 100 * comparison.high
    if low < 0 < high:
        extent = f"they may cost up to {_format_points(-low)} or gain up to {_format_points(high)}"
    else:
        extent = f"the difference lies between {low:+.1f} and {high:+.1f} points"
    return f"Whether {images} help is not decided: compared with {rival}, {extent}."


def _count_generated(result: Result) -> str:
    """Return "80 generated images of angry", or "120 generated images" of several classes."""
    total, classes = sum(result.generated.values()), list(result.generated)
    return f"{total:,} generated images{f' of {classes[0]}' if len(classes) == 1 else ''}"


def _name_plainly(arm: str) -> str:
    name = ArmName.parse(arm)
    return arm if name.settings else PLAIN_NAMES.get(name.balance, arm)


def _format_points(points: float) -> str:
    """Return "17 points", "2 points" or "0.8 points": as many digits as a reader needs."""
    rounded = f"{points:.0f}" if points >= 1.5 else f"{points:.1f}"
    return f"{rounded} {'point' if rounded in ('1', '1.0') else 'points'}"
