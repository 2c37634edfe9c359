"""report.html of train=evaluate: how good a trained classifier is on other images, from the files of the run."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fer_experiments.data.split import LEAK_PREFIX
from fer_experiments.evaluation.calibration import reliability
from fer_experiments.evaluation.confusion_figure import draw_confusion_matrix
from fer_experiments.evaluation.evaluation_result import EvaluationResult
from fer_experiments.evaluation.intervals import wilson_interval
from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.evaluation.scores import METRIC_TITLES, Metric
from fer_experiments.report.data_facts import DataFacts, read_data_facts
from fer_experiments.report.figures.pictures import Picture, draw_picture, load_picture
from fer_experiments.report.figures.plots import reliability_diagram
from fer_experiments.report.page_templates import load_template, write_html
from fer_experiments.report.tables import METRICS
from fer_experiments.runs.status import format_duration

UNDEFINED = "–"


class ClassRow(NamedTuple):
    """A class that the images have, as text.

    mistake: the class for which its images are most often taken by mistake, with their share. internal_recall: on the
    test images of the training.
    """

    name: str
    images: int
    recall: str
    interval: str
    precision: str
    mistake: str
    internal_recall: str


def write_evaluation_page(folder: Path) -> None:
    """Write report.html from evaluation.json, predictions.npz, data.json and config.yaml in the folder.

    Raises ValueError, which names the file, if one of the first two can't be read.
    """
    result = EvaluationResult.load(folder)
    facts, _ = read_data_facts(folder / "data.json")
    config = folder / "config.yaml"
    page = load_template("evaluation.html.j2").render(
        name="/".join(folder.resolve().parts[-2:]),
        result=result,
        headline=describe_balanced_accuracy(result),
        accuracy=describe_accuracy(result),
        cautions=list_cautions(result, facts),
        metrics=build_metric_rows(result),
        classes=build_class_rows(result),
        confusion=draw_confusion(result),
        calibration=draw_calibration(Predictions.load(folder, "test")),
        near_duplicates=load_near_duplicates(facts, folder),
        unreadable=len(facts.corrupt or []),
        of_groups=sum(facts.dropped_as_of_a_group_in_another_part.values()),
        duration=format_duration(result.seconds),
        config=config.read_text(encoding="utf-8", errors="replace") if config.is_file() else "",
    )
    write_html(page, folder)


def describe_evaluation(result: EvaluationResult) -> str:
    """Return the answer in two sentences."""
    return f"{describe_balanced_accuracy(result)} {describe_accuracy(result)}"


def describe_balanced_accuracy(result: EvaluationResult) -> str:
    """Return the balanced accuracy with its interval, and how far it lies from that of the classifier's own test."""
    text = f"{_describe_score(result, 'balanced_accuracy')} on {result.test['images']:,} images"
    if result.is_internal:
        return f"{text}, all of them test images of the classifier's training."
    internal = result.internal_test
    if internal is None:
        return f"{text}."
    reference = internal.metrics["balanced_accuracy"]
    assert reference is not None
    points = round(100 * (result.test["balanced_accuracy"] - reference), 1)
    distance = f"{abs(points)} points {'above' if points > 0 else 'below'}" if points else "equal to"
    return f"{text}, {distance} the {reference:.1%} on the {internal.images:,} test images of its training."


def describe_accuracy(result: EvaluationResult) -> str:
    """Return the accuracy with its interval as a sentence."""
    return f"{_describe_score(result, 'accuracy')}."


def _describe_score(result: EvaluationResult, metric: Metric) -> str:
    title = METRIC_TITLES[metric]
    interval = f"{100 * result.level:g}% interval {_format_interval(result, metric)}"
    return f"{title[0].upper()}{title[1:]} {result.test[metric]:.1%} ({interval})"


def _format_interval(result: EvaluationResult, metric: str) -> str:
    return _format_range(*result.intervals[metric]) if metric in result.intervals else ""


def _format_range(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}"


def list_cautions(result: EvaluationResult, facts: DataFacts) -> list[str]:
    """Return sentences on what speaks against the numbers, or what they don't say."""
    cautions = []
    if result.overlap is None:
        cautions.append(
            "It could not be checked whether the classifier was trained on some of these images: the split.csv of its "
            "training lies neither beside the checkpoint nor above it."
        )
    elif result.overlap["test"] and not result.is_internal:
        cautions.append(
            f"{result.overlap['test']:,} of the {result.test['images']:,} images are test images of the training as "
            "well, so that they are not new."
        )
    if near_duplicates := _count_near_duplicates(facts):
        cautions.append(
            f"{near_duplicates:,} of the images are nearly the same as images that were left out, by which the "
            "classifier was trained or chosen (near_duplicates.csv)."
        )
    if absent := [name for name in result.classes if name not in result.present]:
        cautions.append(
            f"There are no images of {', '.join(absent)}: the scores are of the other classes alone, and an image that "
            f"is taken for {'this class' if len(absent) == 1 else 'one of these'} counts as wrong."
        )
    if result.training_split_hash.startswith(LEAK_PREFIX):
        cautions.append("The classifier was trained under a leak: the test images of its training chose its epoch.")
    return cautions


def build_metric_rows(result: EvaluationResult) -> list[tuple[str, str, str, str]]:
    """Return (metric, value, interval, value on the test images of the training) of every metric, as text."""
    internal = {} if result.internal_test is None else result.internal_test.metrics
    return [
        (title, _format(result.test[name], form), _format_interval(result, name), _format(internal.get(name), form))
        for name, (title, form) in METRICS.items()
    ]


def build_class_rows(result: EvaluationResult) -> list[ClassRow]:
    """Return a row for each class that has images, in the order of the classifier's classes."""
    internal = {} if result.internal_test is None else result.internal_test.recall
    rows = []
    for place, (name, images) in enumerate(result.counts.items()):
        if images:
            predicted = result.test["confusion"][place]
            wilson = wilson_interval(predicted[place], images, result.level)  # earlier evaluations have no other
            interval = result.recall_intervals.get(name, wilson)
            rows.append(
                ClassRow(
                    name=name,
                    images=images,
                    recall=_format(result.test["recall"][name], ".1%"),
                    interval=_format_range(*interval),
                    precision=_format(result.test["precision"][name], ".1%"),
                    mistake=_describe_mistake(predicted, place, result.classes),
                    internal_recall=_format(internal.get(name), ".1%"),
                )
            )
    return rows


def _describe_mistake(predicted: list[int], place: int, classes: list[str]) -> str:
    """Return "sad (31%)", or a dash if all images are right. predicted (K,): how many images were taken for which."""
    wrong = np.array(predicted)
    wrong[place] = 0
    most = int(wrong.argmax())
    return f"{classes[most]} ({wrong[most] / sum(predicted):.0%})" if wrong[most] else UNDEFINED


def draw_confusion(result: EvaluationResult) -> Picture:
    counts = result.test["confusion"]
    return draw_picture(draw_confusion_matrix(counts, result.classes), "", f"Rows of the confusion matrix {counts}")


def draw_calibration(predictions: Predictions) -> Picture | None:
    """Return a reliability diagram; None if logits are not finite."""
    if not np.isfinite(predictions.logits).all():
        return None
    bins = reliability(predictions.logits, predictions.labels)
    return draw_picture(reliability_diagram(bins), "", "Accuracy against confidence")


def load_near_duplicates(facts: DataFacts, folder: Path) -> Picture | None:
    """Return the picture of alike images in different parts; None if no image that was measured is among them."""
    if not _count_near_duplicates(facts):
        return None
    return load_picture(folder / "near_duplicates.png", "", "Pairs of alike images in different parts")


def _count_near_duplicates(facts: DataFacts) -> int:
    return 0 if facts.near_duplicates is None else facts.near_duplicates["test_images"]


def _format(value: Any, form: str) -> str:
    return UNDEFINED if value is None else format(value, form)
