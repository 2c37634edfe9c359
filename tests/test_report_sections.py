"""What the sections of the page show of a study."""

import pytest

from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import METRIC_TITLES
from fer_experiments.report.data_facts import DataFacts, read_data_facts
from fer_experiments.report.figures.plots import Figure
from fer_experiments.report.findings import compute_findings
from fer_experiments.report.sections import results
from fer_experiments.report.sections.calibration import draw_reliability
from fer_experiments.report.sections.confusion import draw_confusions
from fer_experiments.report.sections.data import describe_source
from fer_experiments.report.sections.training_curves import draw_training_curves
from fer_experiments.runs.status import format_duration
from tests.results import build_result, build_study, write_study


def test_an_arm_without_epochs_has_no_curves():
    record = build_study({"none": {0: 0.7}, "dcgan": {0: 0.8}}, [0])
    record.results[1] = build_result("dcgan", 0, 0.8, history=[])
    assert list(draw_training_curves(record)) == ["none"]


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_dots_are_the_study_s_metric_with_its_intervals(tmp_path, metric, monkeypatch):
    record = write_study(tmp_path, {"none": {0: 0.7, 1: 0.8}, "dcgan": {0: 0.8}}, [0, 1])
    record.question = Question(metric=metric)
    for result in record.results:
        result.metrics["test"] |= {"accuracy": 0.1, "balanced_accuracy": 0.2, "macro_f1": 0.3, metric: 0.6}
    calls = []
    monkeypatch.setattr(results, "dot_plot", lambda *arguments: calls.append(arguments) or Figure())
    picture = results.draw_dots(record, compute_findings(record, tmp_path))
    (values, _, label, intervals), name = calls[0], METRIC_TITLES[metric]
    assert values == {"none": [0.6, 0.6], "dcgan": [0.6]}
    assert (label, set(intervals)) == (f"{name} on test", {"none", "dcgan"})
    assert picture.alt == f"Mean {name} on test: none 60.0%, dcgan 60.0%"


def test_confusion_is_summed_over_seeds():
    (picture,) = draw_confusions(build_study({"none": {0: 0.7, 1: 0.7}, "dcgan": {}}, [0, 1]))
    assert "[[16, 4], [6, 14]]" in picture.alt


def test_reliability_of_an_arm_is_of_all_its_seeds(tmp_path):
    record = write_study(tmp_path, {"none": {0: 0.7, 1: 0.8}, "dcgan": {0: 0.8}}, [0, 1])
    assert [picture.caption.split(": ")[0] for picture in draw_reliability(record, tmp_path)] == ["none", "dcgan"]
    assert draw_reliability(record, tmp_path)[0].caption.endswith(", 2 seeds together")
    (tmp_path / "seed_1" / "none" / "predictions.npz").write_bytes(b"")
    assert draw_reliability(record, tmp_path)[0].caption.endswith(", 1 seed")
    assert draw_reliability(record, tmp_path / "elsewhere") == []


def test_facts_leave_out_what_is_not_recorded():
    assert describe_source(DataFacts()) == []
    assert describe_source(DataFacts(corrupt=[], dropped_as_duplicates_of_a_more_protected_part={"train": 2})) == [
        ("files that can't be read", "0"),
        ("train images dropped because a later part has the same image", "2"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "null",
        '{"images": 3}',
        '{"images": {"test": {"angry": "many"}}}',
        '{"corrupt": ["a.png"]}',
        '{"near_duplicates": {}}',
        '{"near_duplicates": {"pairs": 1, "test_images": null}}',
    ],
)
def test_facts_of_another_kind_can_t_be_read(tmp_path, content):
    (tmp_path / "data.json").write_text(content)
    facts, problem = read_data_facts(tmp_path / "data.json")
    assert facts == DataFacts()
    assert problem.startswith("data.json can't be read: ")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3599, "59 min 59 s"),
        (7320, "2 h 2 min"),
        (7200, "2 h"),
        (5461, "1 h 31 min"),
    ],
)
def test_duration_reads_like_speech(seconds, text):
    assert format_duration(seconds) == text
