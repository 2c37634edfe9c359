"""Calibration: whether an arm is right as often as its confidence says."""

from pathlib import Path

import numpy as np

from fer_experiments.evaluation.calibration import expected_calibration_error, reliability
from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.report.figures.pictures import Picture, draw_picture
from fer_experiments.report.figures.plots import reliability_diagram
from fer_experiments.report.section import ReportContext, Values
from fer_experiments.report.study_record import StudyRecord


def build_values(context: ReportContext) -> Values | None:
    pictures = draw_reliability(context.record, context.folder)
    return {"reliability": pictures} if pictures else None


def draw_reliability(record: StudyRecord, folder: Path) -> list[Picture]:
    """Return one diagram for each arm of the study in `folder`, on test, over all its seeds together.

    Trainings without predictions take no part; Findings.problems names them.
    """
    pictures = []
    for arm in record.arms:
        loaded = [_load_predictions(record.folder_of(result, folder)) for result in record.results_of(arm)]
        predictions = [each for each in loaded if each is not None]
        if predictions:
            logits = np.concatenate([each.logits for each in predictions])
            bins = reliability(logits, np.concatenate([each.labels for each in predictions]))
            error = f"ECE {expected_calibration_error(bins):.3f}"
            seeds = "1 seed" if len(predictions) == 1 else f"{len(predictions)} seeds together"
            alt = f"{arm}: accuracy against confidence, {error}"
            pictures.append(draw_picture(reliability_diagram(bins), f"{arm}: {error}, {seeds}", alt))
    return pictures


def _load_predictions(folder: Path) -> Predictions | None:
    """Return the predictions on test; None if they can't be read or are not finite."""
    try:
        test = Predictions.load(folder, "test")
    except ValueError:
        return None
    return test if np.isfinite(test.logits).all() else None
