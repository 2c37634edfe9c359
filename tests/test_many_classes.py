"""A hundred classes: what is logged, planned and reported names a few of them, and loses none."""

import html
import json
import re

import numpy as np
import pytest
from PIL import Image

from fer_experiments.audit.finding import Finding, worst_finding
from fer_experiments.audit.record import AuditRecord
from fer_experiments.balance import TrainingPlan
from fer_experiments.data.split_checks import warn_about_few
from fer_experiments.data.warn_once import forget_warnings
from fer_experiments.enumeration import MAX_NAMED, enumerate_names
from fer_experiments.report.findings import compute_findings
from fer_experiments.report.page import write_page
from fer_experiments.report.sections.confusion import draw_confusions
from fer_experiments.report.sections.results import build_class_recalls
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.report.tables import build_recall_table, build_summary_table, describe_training_images
from fer_experiments.train.arms.training_images import describe_counts
from fer_experiments.train.gan.selection import describe_gan
from fer_experiments.train.plan.plan import MAX_ROWS, Plan, PlannedTraining
from tests.conftest import gan_config
from tests.results import build_result, save_study, write_gan

NAMES = [f"class_{number:02d}" for number in range(100)]
RECALLS = {name: number / 100 for number, name in enumerate(NAMES)}


def build_study_of_many(arms=("none", "dcgan")) -> StudyRecord:
    confusion = np.diag(np.arange(100))
    confusion[3, 7] = 12
    test = {"accuracy": 0.5, "balanced_accuracy": 0.5, "loss": 0.4, "recall": RECALLS, "images": 4962}
    changes = {"real": dict.fromkeys(NAMES, 10), "metrics": {"test": test | {"confusion": confusion.tolist()}}}
    results = []
    for arm in arms:
        generated = dict.fromkeys(NAMES[:50], 90) if arm == "dcgan" else {}
        results.append(build_result(arm, 0, 0.5, tuple(NAMES), generated=generated, **changes))
    return StudyRecord(arms=list(arms), seeds=[0], results=results, failed={}, versions={"python": "3"})


def test_up_to_ten_names_are_all_named_and_of_more_the_first_five():
    assert enumerate_names(NAMES[:MAX_NAMED]) == ", ".join(NAMES[:MAX_NAMED])
    assert enumerate_names(NAMES) == "class_00, class_01, class_02, class_03, class_04 and 95 more"


def test_logs_and_plans_are_short():
    assert describe_gan(gan_config(), NAMES) == "GAN of class_00, class_01, class_02, class_03, class_04 and 95 more"
    labels = np.repeat(NAMES, 3)
    assert describe_counts(labels, TrainingPlan(np.arange(300))) == "300 of 100 classes"
    train = {name: 200 - number for number, name in enumerate(NAMES)}
    counts = {"train": train, "valid": dict.fromkeys(NAMES, 5), "test": dict.fromkeys(NAMES, 20)}
    gan = PlannedTraining(describe_gan(gan_config(), NAMES), 32, 64, 422, 60.0, is_gan=True, generated=5000)
    lines = [*Plan(counts, [gan]).outline(), *Plan(counts, [gan]).estimates()]
    assert len(lines) == 1 + MAX_ROWS + 1 + 1 + 2
    assert (lines[1].split()[0], lines[MAX_ROWS + 1].split()[0]) == ("class_00", "class_99")
    assert lines[1 + MAX_ROWS // 2] == "... 80 classes between"
    assert lines[MAX_ROWS + 2].split() == ["all", "100", "15,050", "500", "2,000"]
    assert "and 95 more, 422 steps of 64 at 32 pixels, to make 5,000 images" in lines[-2]


def test_the_smallest_of_many_small_classes_are_named(caplog):
    forget_warnings()
    train = {name: 4 - number // 30 for number, name in enumerate(NAMES)}
    warn_about_few("images", {"train": train, "valid": train, "test": train}, tuple(NAMES))
    (message,) = caplog.messages
    assert "class_90: train 1, valid 1, test 1" in message
    assert "and 95 more" in message
    assert "class_00" not in message


def test_a_finding_of_many_classes_has_a_few_messages():
    finding = worst_finding({name: Finding("fail", f"broken {name}.") for name in NAMES})
    assert finding.message.count("broken") == MAX_NAMED
    assert finding.message.endswith("And 90 more classes.")


def test_the_tables_of_a_hundred_classes_have_sums_and_extremes():
    record = build_study_of_many()
    summary = build_summary_table(record)
    assert not [column for column in summary if column.startswith("recall")]
    assert describe_training_images(record.results[1]) == "100 classes: 1,000 + 4,500 generated"
    assert build_recall_table(record)["dcgan"].to_dict() == RECALLS
    recalls = build_class_recalls(record)
    arm, least, most = recalls.extremes[0]
    assert (arm, least.split(",")[0], most.split(",")[0]) == ("none", "class_00 0.0%", "class_99 99.0%")
    assert len(recalls.rows) == 100
    seven = build_result("none", 0, 0.5, classes=tuple(NAMES[:7]))
    record_of_seven = StudyRecord(arms=["none"], seeds=[0], results=[seven], versions={})
    several = build_class_recalls(record_of_seven)
    assert several.extremes == []
    assert several.rows[0] == ("class_00", ["50.0%"])
    assert "recall class_00" not in build_summary_table(record_of_seven)
    assert "recall class_00" in build_summary_table(record_of_seven, MAX_NAMED)  # comparison.md has no other table
    few = StudyRecord(arms=["none"], seeds=[0], results=[build_result("none", 0, 0.5)], versions={})
    assert build_class_recalls(few) is None
    assert "recall angry" in build_summary_table(few)


def test_the_pairs_that_are_confused_most_are_named():
    picture = draw_confusions(build_study_of_many())[0]
    assert picture.caption.startswith("none; confused most: class_03 as class_07 (12)")
    assert len(picture.alt) < 300


@pytest.mark.parametrize(("classes", "is_folded"), [(20, False), (100, True)])
def test_the_page_shows_the_worst_audits_and_folds_the_tables(tmp_path, classes, is_folded):
    record = build_study_of_many()
    save_study(tmp_path, record)
    gan = tmp_path / "seed_0" / "gan"
    write_gan(gan, [5])
    for number, name in enumerate(NAMES[:classes]):
        status = "fail" if number % 20 == 19 else "pass"
        audit = AuditRecord(
            label=name, generated=1, synthetic="x", headline={"kid": number / 8}, checks={"labels": Finding(status, "")}
        )
        audit.save(gan / name)
        Image.new("RGB", (8, 8)).save(gan / name / "nearest.png")
    facts = {"classes": NAMES[:classes], "images": {"train": dict.fromkeys(NAMES[:classes], 5)}}
    (tmp_path / "data.json").write_text(json.dumps(facts))
    write_page(record, compute_findings(record, tmp_path), tmp_path)
    page = html.unescape((tmp_path / "report.html").read_text())
    worst = re.findall(r"Generated images of (\w+) and their nearest", page)
    assert len(worst) == 5
    assert worst[0] == "class_19"
    assert f"Measures of the generated images of {classes - 5} more classes" in page
    assert all(f">{name}</th>" in page for name in NAMES[:classes] if name not in worst)
    assert ("Images of each of 100 classes" in page) is is_folded
    assert "Recall of each of 100 classes" in page
