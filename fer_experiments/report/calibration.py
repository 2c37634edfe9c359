"""What the page shows of calibration: is an arm as often right as it says?"""

from pathlib import Path

import numpy as np

from fer_experiments.evaluation.calibration import expected_calibration_error, reliability
from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.report import figures
from fer_experiments.report.pictures import Picture, drawn
from fer_experiments.report.study import StudyRecord


def reliabilities(record: StudyRecord, folder: Path) -> list[Picture]:
    """One diagram an arm, on test, all its seeds together; trainings without predictions take no part.

    Findings.problems names those. folder: the study's.
    """
    pictures = []
    for arm in record.arms:
        found = [test for result in record.of_arm(arm) if (test := _read(record.folder_of(result, folder)))]
        if found:
            logits, labels = (np.concatenate([getattr(one, name) for one in found]) for name in ("logits", "labels"))
            bins = reliability(logits, labels)
            error = f"ECE {expected_calibration_error(bins):.3f}"
            seeds = "1 seed" if len(found) == 1 else f"{len(found)} seeds together"
            alt = f"{arm}: accuracy against confidence, {error}"
            pictures.append(drawn(f"{arm}: {error}, {seeds}", alt, figures.reliability_diagram(bins)))
    return pictures


def _read(folder: Path) -> Predictions | None:
    """Of the test part; None where they can't be read or are not finite."""
    try:
        test = Predictions.load(folder, "test")
    except ValueError:
        return None
    return test if np.isfinite(test.logits).all() else None
