"""Figures of results, drawn without a display."""

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation

from fer_experiments.evaluation.calibration import Bin

TRAIN, VALID, GENERATED, SIMPLE = "#2b6cb0", "#c2410c", "#c2410c", "#2b6cb0"
VERDICT = {"helps": "#15803d", "hurts": "#b91c1c", "equivalent": "#2b6cb0", "undecided": "#6b7280"}
# Colour, marker and dashes: blues against oranges, dark and light, so that they differ without colour too.
SIMPLE_LINES = [(SIMPLE, "o", "-"), ("#0f2747", "s", "-."), ("#4a9fd8", "^", ":"), ("#64748b", "v", "--")]
GENERATED_LINES = [(GENERATED, "D", "-"), ("#6b2107", "P", "-."), ("#e08a1e", "X", ":")]
MOST_TICKS = 8
History = Sequence[Mapping[str, float]]
PERCENT = FuncFormatter(lambda share, _: f"{100 * share:.4g}%")


def plain(text: str) -> str:
    """A name as matplotlib shows it literally: $ starts no formula, unprintable characters become U+FFFD."""
    shown = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return shown.replace("$", r"\$")


def _in_two_lines(name: str) -> str:
    """As plain(); an arm's settings stand in a line of their own, since they can be long."""
    return plain(name).replace(" [", "\n[", 1)


def _height(rows: Sequence[str]) -> float:
    """Of a figure, in inches, with a label a row."""
    lines = max((row.count("\n") + 1 for row in rows), default=1)
    return 0.9 + (0.25 + 0.13 * lines) * len(rows)


def confusion_matrix(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """Rows are true classes, columns predicted ones; shaded by the share of the row."""
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 1.6 + 0.7 * len(classes)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    names = [plain(name) for name in classes]
    axes.set_xticks(range(len(classes)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row, column in np.ndindex(counts.shape):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=colour, fontsize=9)
    return figure


def dot_plot(
    scores: Mapping[str, Sequence[float]],
    generated: Sequence[str],
    xlabel: str,
    intervals: Mapping[str, tuple[float, float]],
) -> Figure:
    """{arm: a score in [0, 1] for each seed}, first arm on top: a dot for each seed, a bar and a number at the mean.

    Arms named in `generated` have another colour and diamonds for dots. An arm without scores keeps an empty line.
    intervals: {arm: (low, high)} is a line under the dots.
    """
    rows = [_in_two_lines(arm) for arm in scores]
    figure = Figure(figsize=(4.5, _height(rows)), layout="constrained")
    axes = figure.subplots()
    for row, (arm, values) in enumerate(scores.items()):
        axes.axhline(row, color="#e5e7eb", linewidth=0.8, zorder=0)
        if not values:
            axes.annotate("no result", (1.02, row), xycoords=("axes fraction", "data"), va="center", color="#6b7280")
            continue
        colour, marker = (GENERATED, "D") if arm in generated else (SIMPLE, "o")
        mean = float(np.mean(values))
        several = len(values) > 1
        if arm in intervals:
            axes.plot(intervals[arm], [row, row], color=colour, linewidth=5, alpha=0.25, solid_capstyle="butt")
        axes.scatter(
            values, [row] * len(values), s=34, color=colour, marker=marker, alpha=0.55 if several else 1, linewidths=0
        )
        if several:
            axes.plot([mean, mean], [row - 0.28, row + 0.28], color=colour, linewidth=2.2)
        axes.annotate(f"{mean:.1%}", (1.02, row), xycoords=("axes fraction", "data"), va="center", color=colour)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(scores) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(PERCENT)
    axes.set_xlabel(xlabel)
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "right", "top"]].set_visible(False)
    return figure


def difference_plot(differences: Mapping[str, tuple[float, float, float, str]], margin: float, xlabel: str) -> Figure:
    """{"A - B": (difference, low, high, verdict)} in points, first on top; the band is +-margin, where none counts.

    A verdict in brackets is that of a second comparison.
    """
    rows = [_in_two_lines(name).replace(" − ", "\n− ", 1) for name in differences]
    figure = Figure(figsize=(5.0, _height(rows)), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(-margin, margin, color="#94a3b8", alpha=0.3, linewidth=0, zorder=0)
    axes.axvline(0, color="#374151", linewidth=1, zorder=1)
    for row, (mean, low, high, verdict) in enumerate(differences.values()):
        colour = VERDICT[verdict.strip("()")]
        axes.plot([low, high], [row, row], color=colour, linewidth=2, solid_capstyle="butt")
        axes.scatter([mean], [row], s=42, color=colour, zorder=3)
        axes.annotate(
            f"{mean:+.1f}  {verdict}", (1.02, row), xycoords=("axes fraction", "data"), va="center", color=colour
        )
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(differences) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(xlabel)
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "right", "top"]].set_visible(False)
    return figure


class Line(NamedTuple):
    """An arm along x. points: (x, mean, low, high); of an arm that has no x they are one, with x None, and level."""

    generated: bool
    points: Sequence[tuple[float | None, float, float, float]]


def along(lines: Mapping[str, Line], xlabel: str, ylabel: str, margin: float | None = None) -> Figure:
    """{arm: its line}: means, joined, with a bar for each interval, beside each other where they meet.

    Colour and marker tell generated from simple, as in dot_plot; shades and further markers tell arms apart. A level
    arm is a dashed line with its bar at the right. margin: points are differences, and the band +-margin is none.
    """
    figure = Figure(figsize=(4.4, 2.6 + 0.19 * len(lines)), layout="constrained")
    axes = figure.subplots()
    if margin is not None:
        axes.axhspan(-margin, margin, color="#94a3b8", alpha=0.3, linewidth=0, zorder=0)
        axes.axhline(0, color="#374151", linewidth=1, zorder=1)
    used = {True: 0, False: 0}
    for number, (name, line) in enumerate(lines.items()):
        styles = GENERATED_LINES if line.generated else SIMPLE_LINES
        style = styles[used[line.generated] % len(styles)]
        used[line.generated] += 1
        _along(axes, plain(name), line, style, shift=3.5 * (number - (len(lines) - 1) / 2))
    points = [point for line in lines.values() for point in line.points]
    heights = [height for _, *found in points for height in found] + ([] if margin is None else [-margin, margin])
    _scale(axes, sorted({x for x, *_ in points if x is not None}), heights)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    if margin is None:
        axes.yaxis.set_major_formatter(PERCENT)
    axes.set_xlabel(plain(xlabel))
    axes.set_ylabel(ylabel)
    axes.grid(color="#e5e7eb", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["right", "top"]].set_visible(False)
    figure.legend(loc="outside upper left", ncols=1, fontsize=9, frameon=False, handlelength=2.6, labelspacing=0.3)
    return figure


def _along(axes: Axes, name: str, line: Line, style: tuple[str, str, str], shift: float) -> None:
    """shift: to the right, in points of print."""
    colour, marker, dashes = style
    figure = axes.get_figure()
    assert figure is not None
    aside = ScaledTranslation(shift / 72, 0, figure.dpi_scale_trans)
    xs: list[float] = [x for x, *_ in line.points if x is not None]
    _, means, lows, highs = zip(*line.points, strict=True)
    there = axes.transData + aside
    if not xs:
        axes.axhline(means[0], color=colour, linewidth=1.3, linestyle="--", alpha=0.8)
        xs, there, dashes = [0.97], axes.get_yaxis_transform() + aside, "--"
    axes.vlines(xs, lows, highs, color=colour, linewidth=1.6, alpha=0.55, transform=there)
    axes.plot(
        xs, means, dashes, color=colour, marker=marker, markersize=5.5, linewidth=1.6, label=name, transform=there
    )


def _scale(axes: Axes, values: Sequence[float], heights: Sequence[float]) -> None:
    """Room for all; x is logarithmic where it spans a decade or more, with 0 beside the smallest if it is there."""
    positive = [value for value in values if value > 0]
    if positive and positive[-1] >= 10 * positive[0]:
        if len(positive) == len(values):
            axes.set_xscale("log")
        else:
            axes.set_xscale("symlog", linthresh=positive[0], linscale=0.6)
    if len(values) <= MOST_TICKS:
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.minorticks_off()
    scale = axes.xaxis.get_transform()
    left, right = scale.transform([values[0], values[-1]])
    axes.set_xlim(*scale.inverted().transform([left - 0.08 * (right - left), right + 0.08 * (right - left)]))
    low, high = min(heights), max(heights)
    axes.set_ylim(low - (0.06 * (high - low) or 0.01), high + (0.06 * (high - low) or 0.01))


def limits(histories: Sequence[History], keys: Sequence[str]) -> tuple[float, float] | None:
    """The y range that holds every finite value of `keys`, with a margin; None where there is none."""
    values = [row[key] for history in histories for row in history for key in keys if key in row]
    finite = np.asarray(values, dtype=float)[np.isfinite(values)] if values else np.empty(0)
    if not len(finite):
        return None
    margin = 0.05 * float(np.ptp(finite)) or 0.05
    return float(finite.min()) - margin, float(finite.max()) + margin


def curves(
    histories: Sequence[History],
    lines: Mapping[str, str],
    *,
    x: str = "epoch",
    ylim: tuple[float, float] | None = None,
    percent: bool = False,
    marked: Sequence[int] = (),
) -> Figure:
    """One panel of `lines`, {key: name in the legend}: the mean over the seeds and, where several, each in a thin line.

    histories: one a seed. marked: places on the x axis with a dotted line, such as the epoch that was chosen.
    """
    figure = Figure(figsize=(3.9, 2.5), layout="constrained")
    axes = figure.subplots()
    for (key, name), colour in zip(lines.items(), (TRAIN, VALID), strict=False):
        _line(axes, histories, x, key, name, colour)
    for number, place in enumerate(sorted(set(marked))):
        axes.axvline(
            place, color="#6b7280", linestyle=":", linewidth=1, label="" if number else "chosen epoch", zorder=0
        )
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if percent:
        axes.yaxis.set_major_formatter(PERCENT)
    if ylim is not None:
        axes.set_ylim(*ylim)
    axes.set_xlabel(x)
    axes.grid(color="#e5e7eb", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["right", "top"]].set_visible(False)
    figure.legend(loc="outside upper left", ncols=3, fontsize=8.5, frameon=False, handlelength=1.4, columnspacing=1.2)
    return figure


def _line(axes: Axes, histories: Sequence[History], x: str, key: str, name: str, colour: str) -> None:
    tables = [
        pd.DataFrame([{x: row[x], key: row[key]} for row in rows if key in row and x in row]) for rows in histories
    ]
    tables = [table for table in tables if len(table)]
    if not tables:
        return
    if len(tables) > 1:
        for table in tables:
            axes.plot(table[x], table[key], color=colour, linewidth=0.8, alpha=0.35)
    mean = pd.concat(tables).groupby(x)[key].mean()
    marker = "." if len(mean) <= 20 else ""  # a single epoch must be seen too
    axes.plot(mean.index, mean.to_numpy(), color=colour, linewidth=1.8, marker=marker, label=name)


def reliability_diagram(bins: Sequence[Bin]) -> Figure:
    """A bar for each bin: how often images of such confidence were right; the deeper its colour, the more images.

    On the dashed line confidence is true; bars below it are too sure of themselves.
    """
    figure = Figure(figsize=(2.9, 2.7), layout="constrained")
    axes = figure.subplots()
    most = max(one.images for one in bins)
    for place, one in enumerate(bins):
        if one.accuracy is not None:
            depth = 0.25 + 0.75 * one.images / most
            axes.bar((place + 0.5) / len(bins), one.accuracy, 0.9 / len(bins), color=SIMPLE, alpha=depth)
    axes.plot([0, 1], [0, 1], color="#6b7280", linestyle="--", linewidth=1)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PERCENT)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("confidence")
    axes.set_ylabel("accuracy")
    axes.spines[["right", "top"]].set_visible(False)
    return figure


def svg(figure: Figure) -> bytes:
    """The same bytes for the same figure. Text stays text, so that a reader's fonts serve scripts that ours lack."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    return buffer.getvalue()
