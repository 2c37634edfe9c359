"""Findings say pass, warn or fail at their limits, and never by a measure that is missing."""

import pytest

from fer_experiments.evaluation.findings import Finding, find, worst

GOOD = {
    "probe": {"auroc": 0.5, "low": 0.4, "high": 0.6},
    "memorisation": {
        "share": 0.05, "expected": 0.05, "chance": 0.5, "ct": 0.0, "authenticity": 0.5, "real_authenticity": 0.5
    },
    "held_out_copies": {"share": 0.05, "expected": 0.05, "chance": 0.5, "images": 200},
    "diversity": {"pixels": 1.0, "features": 1.0},
    "labels": {
        "agreement": 0.8, "held_out": 0.8, "images": 400, "held_out_images": 400, "chance": 0.5, "judge": 0.8
    },
    "likeness": {
        "coverage": 0.9, "expected_coverage": 0.95, "real": 100, "precision": 1.0, "recall": 1.0, "density": 1.0
    },
}  # fmt: skip


def found(measure, check, **changed):
    return find(GOOD | {measure: GOOD[measure] | changed})[check]


def test_what_is_as_good_as_real_images_passes_everything():
    assert {finding.status for finding in find(GOOD).values()} == {"pass"}


@pytest.mark.parametrize(("auroc", "status"), [(0.59, "pass"), (0.6, "warn"), (0.89, "warn"), (0.9, "fail")])
def test_a_probe_that_tells_generated_images_is_a_shortcut(auroc, status):
    assert found("probe", "shortcut", auroc=auroc).status == status


@pytest.mark.parametrize(("share", "status"), [(0.09, "pass"), (0.1, "warn"), (0.49, "warn"), (0.5, "fail")])
def test_more_near_images_than_chance_has_are_memorised(share, status):
    assert found("memorisation", "memorisation", share=share, chance=0.001).status == status
    assert found("memorisation", "memorisation", share=share, chance=0.02).status == "pass"


def test_images_nearer_than_chance_as_a_whole_are_a_warning():
    assert found("memorisation", "memorisation", ct=-3.1).status == "warn"


@pytest.mark.parametrize(("ratio", "status"), [(0.76, "pass"), (0.74, "warn"), (0.49, "fail")])
def test_too_little_difference_between_images_is_a_collapse(ratio, status):
    assert found("diversity", "collapse", pixels=ratio).status == status
    assert found("diversity", "collapse", features=ratio).status == status


@pytest.mark.parametrize(("agreement", "status"), [(0.75, "pass"), (0.6, "warn"), (0.4, "fail")])
def test_images_of_another_class_are_told_by_the_judge(agreement, status):
    assert found("labels", "labels", agreement=agreement).status == status


def test_a_judge_that_does_not_know_the_class_decides_nothing():
    one = found("labels", "labels", agreement=0.1, held_out=0.5)
    assert (one.status, one.measured) == ("warn", False)


@pytest.mark.parametrize("measure", GOOD)
def test_what_was_not_measured_is_a_warning_with_its_reason(measure):
    (one,) = [one for one in find(GOOD | {measure: {"not_measured": "too few"}}).values() if not one.measured]
    assert (one.status, one.said) == ("warn", "Not measured: too few.")


def test_the_worst_finding_names_the_classes_that_have_it():
    findings = {"a": Finding("pass", "Well."), "b": Finding("fail", "Bad."), "c": Finding("fail", "Worse.")}
    assert worst(findings) == Finding("fail", "b: Bad. c: Worse.")
