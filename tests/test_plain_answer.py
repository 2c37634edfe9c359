"""The answer in a sentence without any of the study's words."""

import pytest

from fer_experiments.evaluation.arm_comparisons import PairedComparison
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.verdict import ArmVerdict
from fer_experiments.report.findings import compute_findings
from fer_experiments.report.sections.plain_answer import _describe, _format_points, describe_plainly
from tests.results import write_study

QUESTION = Question(baseline="none", metric="accuracy", margin=0.005, level=0.95)
SEEDS = list(range(5))


class FakeComparison:
    def __init__(self, difference, low, high, seeds=5):
        self.difference, self.low, self.high, self.seeds = difference, low, high, seeds


def describe(verdict: str, difference: float, low: float, high: float, against: str = "none", seeds: int = 5) -> str:
    pair = PairedComparison("dcgan", against, FakeComparison(difference / 100, low / 100, high / 100, seeds))
    arm = ArmVerdict("dcgan", True, verdict, against, "", "", 0.01, [pair])
    return _describe(arm, QUESTION, "80 generated images of angry")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("helps", 3.2, 1, 5, "oversample+traditional"),
            "80 generated images of angry made the classifier about 3 points better than repeating images of the small "
            "classes, which did best without them.",
        ),
        (
            ("hurts", -1.2, -2, -0.4),
            "80 generated images of angry made the classifier about 1.2 points worse than the images as they are.",
        ),
        (
            ("equivalent", 0.1, -0.3, 0.4, "focal"),
            "80 generated images of angry made no difference of 0.5 points or more, compared with focal.",
        ),
        (
            ("undecided", -0.8, -1.8, 0.1),
            "Whether 80 generated images of angry help is not decided: compared with the images as they are, they may "
            "cost up to 2 points or gain up to 0.1 points.",
        ),
        (
            ("undecided", -2.0, -3.8, -0.2, "none [data.imbalance=10]"),
            "Whether 80 generated images of angry help is not decided: compared with none [data.imbalance=10], the "
            "difference lies between -3.8 and -0.2 points.",
        ),
        (
            ("undecided", -2.0, -3.8, -0.2, "none", 1),
            "One training of each kind can't say whether 80 generated images of angry help.",
        ),
    ],
)
def test_each_verdict_has_a_sentence(arguments, sentence):
    assert describe(*arguments) == sentence


@pytest.mark.parametrize(
    ("points", "text"), [(16.7, "17 points"), (1.5, "2 points"), (1.04, "1.0 point"), (0.76, "0.8 points")]
)
def test_points_have_as_many_digits_as_a_reader_needs(points, text):
    assert _format_points(points) == text


def test_the_sentence_counts_the_images_of_the_arm_that_is_the_answer(tmp_path):
    record = write_study(tmp_path, {"none": dict.fromkeys(SEEDS, 0.6), "dcgan": dict.fromkeys(SEEDS, 0.9)}, SEEDS)
    findings = compute_findings(record, tmp_path)
    (verdict,) = findings.best.values()
    generated = record.results_of("dcgan")[0].generated
    sentence = describe_plainly(record, findings)
    assert verdict.verdict == "helps"
    assert sentence.startswith(f"{sum(generated.values())} generated images")
    assert "better than the images as they are" in sentence


def test_a_study_without_generated_images_has_no_such_sentence(tmp_path):
    record = write_study(tmp_path, {"none": dict.fromkeys(SEEDS, 0.6), "oversample": dict.fromkeys(SEEDS, 0.9)}, SEEDS)
    assert describe_plainly(record, compute_findings(record, tmp_path)) == ""
