"""Accuracy and loss of every arm by epoch. Figures 7 and 8 of the paper."""

from fer_experiments.report.figures.history_plot import compute_limits, history_plot
from fer_experiments.report.figures.pictures import Picture, draw_picture
from fer_experiments.report.section import ReportContext, Values
from fer_experiments.report.study_record import StudyRecord

LINES = {metric: {f"train/{metric}": "training", f"valid/{metric}": "validation"} for metric in ("accuracy", "loss")}


def build_values(context: ReportContext) -> Values | None:
    curves = draw_training_curves(context.record)
    return {"curves": curves} if curves else None


def draw_training_curves(record: StudyRecord) -> dict[str, list[Picture]]:
    """Return {arm: [accuracy, loss]}, without arms that have no epochs.

    All arms have the same axes, so that they can be compared by eye.
    """
    histories = {arm: [result.history for result in record.results_of(arm)] for arm in record.arms}
    all_histories = [history for of_arm in histories.values() for history in of_arm]
    limits = {metric: compute_limits(all_histories, list(lines)) for metric, lines in LINES.items()}
    curves = {}
    for arm, of_arm in histories.items():
        if not any(of_arm):
            continue
        epochs = [result.selected_epoch for result in record.results_of(arm) if result.selected_epoch is not None]
        curves[arm] = [
            draw_picture(
                history_plot(
                    of_arm, lines, ylim=limits[metric], is_percentage=metric == "accuracy", chosen_epochs=epochs
                ),
                metric,
                f"{arm}: {metric} in training and validation by epoch",
            )
            for metric, lines in LINES.items()
        ]
    return curves
