"""Plots of the arms' results on test: scores, differences and calibration."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fer_experiments.evaluation.arm_name import BETWEEN_SETTINGS
from fer_experiments.evaluation.calibration import Bin
from fer_experiments.evaluation.confusion_figure import escape_text
from fer_experiments.report.figures.style import BLUE, GENERATED, GRAY, GREEN, LIGHT_GRAY, PERCENT, RED, SIMPLE

VERDICT_COLOURS = {"helps": GREEN, "hurts": RED, "equivalent": BLUE, "undecided": GRAY}


def dot_plot(
    scores: Mapping[str, Sequence[float]],
    generated: Sequence[str],
    xlabel: str,
    intervals: Mapping[str, tuple[float, float]],
) -> Figure:
    """Draw a dot for each seed of each arm, and a bar and a number at the mean.

    Args:
        scores: {arm: a score in [0, 1] for each seed}, the first arm on top. An arm without scores has an empty row.
        generated: the arms with generated images; they have another colour, and diamonds for dots.
        xlabel: what the scores are.
        intervals: {arm: (low, high)}, each drawn as a broad line behind the dots.
    """
    figure, axes = _build_row_axes([_break_name(arm) for arm in scores], width=4.5)
    for row, (arm, values) in enumerate(scores.items()):
        axes.axhline(row, color=LIGHT_GRAY, linewidth=0.8, zorder=0)
        if not values:
            _write_beside(axes, row, "no result", GRAY)
            continue
        colour, marker = (GENERATED, "D") if arm in generated else (SIMPLE, "o")
        mean = float(np.mean(values))
        has_several = len(values) > 1
        if arm in intervals:
            axes.plot(intervals[arm], [row, row], color=colour, linewidth=5, alpha=0.25, solid_capstyle="butt")
        alpha = 0.55 if has_several else 1
        axes.scatter(values, [row] * len(values), s=34, color=colour, marker=marker, alpha=alpha, linewidths=0)
        if has_several:
            axes.plot([mean, mean], [row - 0.28, row + 0.28], color=colour, linewidth=2.2)
        _write_beside(axes, row, f"{mean:.1%}", colour)
    axes.xaxis.set_major_formatter(PERCENT)
    axes.set_xlabel(xlabel)
    return figure


def difference_plot(differences: Mapping[str, tuple[float, float, float, str]], margin: float, xlabel: str) -> Figure:
    """Draw each difference with its interval and its verdict.

    differences: {"A − B": (difference, low, high, verdict)} in points, the first on top. Differences within the band
    +-margin count as none.
    """
    rows = [_break_name(name).replace(" − ", "\n− ", 1) for name in differences]
    figure, axes = _build_row_axes(rows, width=5.0)
    axes.axvspan(-margin, margin, color="#94a3b8", alpha=0.3, linewidth=0, zorder=0)
    axes.axvline(0, color="#374151", linewidth=1, zorder=1)
    for row, (mean, low, high, verdict) in enumerate(differences.values()):
        colour = VERDICT_COLOURS[verdict]
        axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        axes.scatter([mean], [row], s=42, color=colour, zorder=3)
        _write_beside(axes, row, f"{mean:+.1f}  {verdict}", colour)
    axes.set_xlabel(xlabel)
    return figure


def reliability_diagram(bins: Sequence[Bin]) -> Figure:
    """Draw a bar for each bin: how often images of such confidence were right; a deeper colour means more images.

    On the dashed line confidence equals accuracy; bars below it are too confident.
    """
    figure = Figure(figsize=(2.9, 2.7), layout="constrained")
    axes = figure.subplots()
    most = max(each.images for each in bins)
    for place, each in enumerate(bins):
        if each.accuracy is not None:
            depth = 0.25 + 0.75 * each.images / most
            axes.bar((place + 0.5) / len(bins), each.accuracy, 0.9 / len(bins), color=SIMPLE, alpha=depth)
    axes.plot([0, 1], [0, 1], color=GRAY, linestyle="--", linewidth=1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PERCENT)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    axes.spines[["right", "top"]].set_visible(False)
    return figure


def _break_name(name: str) -> str:
    """Return the name of an arm as plain text, with each of its settings on a line of its own."""
    return BETWEEN_SETTINGS.sub(",\n", escape_text(name).replace(" [", "\n[", 1))


def _build_row_axes(rows: Sequence[str], width: float) -> tuple[Figure, Axes]:
    """Return a figure of this width in inches with a labelled row for each text, the first on top."""
    lines = max((row.count("\n") + 1 for row in rows), default=1)
    figure = Figure(figsize=(width, 0.9 + (0.25 + 0.13 * lines) * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "right", "top"]].set_visible(False)
    return figure, axes


def _write_beside(axes: Axes, row: int, text: str, colour: str) -> None:
    """Write a text to the right of a row."""
    axes.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center", color=colour)
