"""Checks of whether the answer can be believed, on the files of the runs. A new check is registered in CHECKS."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from fer_experiments.report.checks.check import Check, StudyFiles
from fer_experiments.report.checks.data_checks import (
    check_class_sizes,
    check_groups,
    check_near_duplicates,
    check_no_leakage,
    check_same_split,
    check_test_images,
)
from fer_experiments.report.checks.generated_checks import check_audits, check_gan_training
from fer_experiments.report.checks.training_checks import (
    check_all_finished,
    check_equal_cost,
    check_leak_on_purpose,
    check_same_environment,
    check_seeds,
)
from fer_experiments.report.data_facts import DataFacts
from fer_experiments.report.findings import Findings
from fer_experiments.report.study_record import StudyRecord

CHECKS: tuple[Callable[[StudyFiles], Check | None], ...] = (
    check_all_finished,
    check_seeds,
    check_class_sizes,
    check_groups,
    check_same_split,
    check_no_leakage,
    check_near_duplicates,
    partial(check_audits, key="shortcut", name="generated images look real"),
    partial(check_audits, key="memorisation", name="generated images are new"),
    partial(check_audits, key="leakage", name="held-out images are not copied"),
    partial(check_audits, key="collapse", name="generated images vary"),
    partial(check_audits, key="labels", name="generated images show their class"),
    partial(check_audits, key="coverage", name="generated images cover the real ones"),
    check_gan_training,
    check_equal_cost,
    check_test_images,
    check_same_environment,
    check_leak_on_purpose,
)
"""In the order of a reader's doubts; a check may return None if it has nothing to say."""


def run_checks(record: StudyRecord, findings: Findings, facts: DataFacts, folder: Path) -> list[Check]:
    """Run all CHECKS. What the runs did not leave in `folder` is unknown. Without a result nothing is checked."""
    if not record.results:
        return []
    study = StudyFiles(record, findings, facts, folder)
    return [check for run_check in CHECKS if (check := run_check(study)) is not None]
