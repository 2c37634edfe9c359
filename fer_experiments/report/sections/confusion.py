"""The confusion matrix of every arm on test."""

import numpy as np

from fer_experiments.evaluation.confusion_figure import draw_confusion_matrix
from fer_experiments.report.figures.pictures import Picture, draw_picture
from fer_experiments.report.section import ReportContext, Values
from fer_experiments.report.study_record import StudyRecord


def build_values(context: ReportContext) -> Values | None:
    pictures = draw_confusions(context.record)
    if not pictures:
        return None
    class_count = max(len(result.classes) for result in context.record.results)
    return {"confusions": pictures, "class_count": class_count}


def draw_confusions(record: StudyRecord) -> list[Picture]:
    """Return one matrix for each arm with results, summed over its seeds."""
    pictures = []
    for arm in record.arms:
        results = record.results_of(arm)
        if results:
            counts = np.sum([result.metrics["test"]["confusion"] for result in results], axis=0).tolist()
            figure = draw_confusion_matrix(counts, results[0].classes)
            pictures.append(draw_picture(figure, arm, f"{arm}: rows of the confusion matrix {counts}"))
    return pictures
