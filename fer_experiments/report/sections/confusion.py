"""The confusion matrix of every arm on test."""

from collections.abc import Sequence

import numpy as np

from fer_experiments.evaluation.confusion_figure import MAX_NUMBERED, draw_confusion_matrix
from fer_experiments.report.figures.pictures import Picture, draw_picture
from fer_experiments.report.findings import Findings
from fer_experiments.report.section import ReportContext, Values
from fer_experiments.report.study_record import StudyRecord

NAMED_PAIRS = 5  # of classes that are confused


def build_values(context: ReportContext) -> Values | None:
    pictures = draw_confusions(context.record)
    if not pictures:
        return None
    class_count = max(len(result.classes) for result in context.record.results)
    is_large = class_count > MAX_NUMBERED  # the figure then grows no more
    return {
        "confusions": pictures,
        "class_count": min(class_count, MAX_NUMBERED),
        "is_large": is_large,
        "hard_images": describe_hard_images(context.findings),
    }


def describe_hard_images(findings: Findings) -> str:
    """Return a sentence on the test images that every classifier gets wrong; "" if there are none."""
    count = len(findings.hard_images)
    if not count:
        return ""
    return (
        f"{count:,} of {findings.images:,} test images ({count / findings.images:.1%}) are classified wrongly by all "
        f"{findings.classifiers} classifiers. Look at them: some may have a wrong label, and no arm can gain by them."
    )


def draw_confusions(record: StudyRecord) -> list[Picture]:
    """Return one matrix for each arm with results, summed over its seeds.

    Of more classes than have numbers in the figure, the caption names the pairs that are confused most.
    """
    pictures = []
    for arm in record.arms:
        results = record.results_of(arm)
        if results:
            counts = np.sum([result.metrics["test"]["confusion"] for result in results], axis=0)
            classes = results[0].classes
            figure = draw_confusion_matrix(counts.tolist(), classes)
            if len(classes) <= MAX_NUMBERED:
                pictures.append(draw_picture(figure, arm, f"{arm}: rows of the confusion matrix {counts.tolist()}"))
            else:
                caption = f"{arm}; confused most: {_name_most_confused(counts, classes)}"
                pictures.append(draw_picture(figure, caption, f"Confusion matrix of {len(classes)} classes, {caption}"))
    return pictures


def _name_most_confused(counts: np.ndarray, classes: Sequence[str]) -> str:
    """Return "cat as dog (12), dog as cat (9)", the largest numbers outside the diagonal of counts (K, K)."""
    wrong = counts * (1 - np.eye(len(counts), dtype=np.int64))
    largest = np.argsort(-wrong, axis=None, kind="stable")[:NAMED_PAIRS]
    pairs = [np.unravel_index(place, wrong.shape) for place in largest]
    names = [f"{classes[true]} as {classes[predicted]} ({wrong[true, predicted]})" for true, predicted in pairs]
    return ", ".join(names)
