"""Findings are pass, warn or fail at their limits, and a measure that is missing decides nothing."""

from dataclasses import replace
from typing import Any

import pytest

from fer_experiments.audit.finding import Finding, worst_finding
from fer_experiments.audit.findings import make_findings
from fer_experiments.audit.measures import NotMeasured
from tests.measures import GOOD, class_measures

MEASURE_OF_CHECK = {
    "shortcut": "probe",
    "memorisation": "memorisation",
    "leakage": "held_out_copies",
    "collapse": "diversity",
    "labels": "labels",
    "coverage": "likeness",
}


def finding(check: str, **changes: Any) -> Finding:
    """Return the finding of a check if fields of its measure are changed."""
    measure = MEASURE_OF_CHECK[check]
    return make_findings(class_measures(**{measure: replace(GOOD[measure], **changes)}))[check]


def test_what_is_as_good_as_real_images_passes_everything():
    findings = make_findings(class_measures())
    assert set(findings) == set(MEASURE_OF_CHECK)
    assert {finding.status for finding in findings.values()} == {"pass"}


@pytest.mark.parametrize(("auroc", "status"), [(0.59, "pass"), (0.6, "warn"), (0.89, "warn"), (0.9, "fail")])
def test_a_probe_that_tells_generated_images_is_a_shortcut(auroc, status):
    assert finding("shortcut", auroc=auroc).status == status


def test_one_identical_image_is_a_leak():
    leakage = finding("leakage", share=0.01, identical=1)
    assert leakage.status == "fail"
    assert leakage.message.endswith(" The pixels of 1 of them are those of such an image.")


@pytest.mark.parametrize(("expected", "share", "status"), [(0.05, 1, "fail"), (0.14, 1, "warn"), (0.14, 0.2, "pass")])
def test_few_training_images_make_of_a_leak_a_warning(expected, share, status):
    leakage = finding("leakage", expected=expected, share=share, chance=0.001)
    assert leakage.status == status
    assert leakage.message.endswith("this is a rough measure.") == (status == "warn")


@pytest.mark.parametrize(("share", "status"), [(0.09, "pass"), (0.1, "warn"), (0.49, "warn"), (0.5, "fail")])
def test_more_near_images_than_chance_brings_are_memorised(share, status):
    assert finding("memorisation", share=share, chance=0.001).status == status
    assert finding("memorisation", share=share, chance=0.02).status == "pass"


def test_images_nearer_than_chance_as_a_whole_are_a_warning():
    assert finding("memorisation", ct=-3.1).status == "warn"


@pytest.mark.parametrize(("ratio", "status"), [(0.76, "pass"), (0.74, "warn"), (0.49, "fail")])
def test_too_little_difference_between_images_is_a_collapse(ratio, status):
    assert finding("collapse", pixels=ratio).status == status
    assert finding("collapse", features=ratio).status == status


@pytest.mark.parametrize(("agreement", "status"), [(0.75, "pass"), (0.6, "warn"), (0.4, "fail")])
def test_the_reference_classifier_notices_images_of_another_class(agreement, status):
    assert finding("labels", agreement=agreement).status == status


def test_a_reference_classifier_that_does_not_know_the_class_decides_nothing():
    labels = finding("labels", agreement=0.1, held_out=0.5)
    assert (labels.status, labels.is_measured) == ("warn", False)


@pytest.mark.parametrize("measure", [measure for measure in MEASURE_OF_CHECK.values() if measure != "labels"])
def test_what_was_not_measured_is_a_warning_with_its_reason(measure):
    findings = make_findings(class_measures(**{measure: NotMeasured("too few")}))
    (missing,) = [finding for finding in findings.values() if not finding.is_measured]
    assert (missing.status, missing.message) == ("warn", "Not measured: too few.")


def test_the_worst_finding_names_the_classes_that_have_it():
    findings = {"a": Finding("pass", "Well."), "b": Finding("fail", "Bad."), "c": Finding("fail", "Worse.")}
    assert worst_finding(findings) == Finding("fail", "b: Bad. c: Worse.")
