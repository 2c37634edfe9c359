"""Plots of scores and differences over the values of a key that was swept."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from fer_experiments.evaluation.confusion_figure import escape_text
from fer_experiments.report.figures.style import GENERATED, PERCENT, SIMPLE, draw_grid, draw_margin

# Colour, marker and dashes: blues against oranges, dark and light, so that they differ without colour too.
SIMPLE_LINES = [(SIMPLE, "o", "-"), ("#0f2747", "s", "-."), ("#4a9fd8", "^", ":"), ("#64748b", "v", "--")]
GENERATED_LINES = [(GENERATED, "D", "-"), ("#6b2107", "P", "-."), ("#e08a1e", "X", ":")]
MAX_TICKS = 8  # with more values, matplotlib chooses the ticks


class Line(NamedTuple):
    """The curve of an arm. is_generated: it has generated images somewhere; points: (x, mean, low, high).

    An arm without the key is a level line: it has one point, whose x is None.
    """

    is_generated: bool
    points: Sequence[tuple[float | None, float, float, float]]


def sweep_plot(lines: Mapping[str, Line], xlabel: str, ylabel: str, margin: float | None = None) -> Figure:
    """Draw the joined means of each line, with a bar for each interval; bars of one x stand side by side.

    Colour and marker tell arms with generated images from simple ones, as in dot_plot; shades and further markers tell
    arms apart. A level line is dashed, with its bar on the right.

    Args:
        lines: {name in the legend: line}.
        xlabel: the key.
        ylabel: what the points are.
        margin: if given, points are differences, and those within the band +-margin count as none.
    """
    figure = Figure(figsize=(4.4, 2.6 + 0.19 * len(lines)), layout="constrained")
    axes = figure.subplots()
    if margin is not None:
        draw_margin(axes, margin)
    counts = {True: 0, False: 0}
    for number, (name, line) in enumerate(lines.items()):
        styles = GENERATED_LINES if line.is_generated else SIMPLE_LINES
        style = styles[counts[line.is_generated] % len(styles)]
        counts[line.is_generated] += 1
        _draw_line(axes, escape_text(name), line, style, shift=3.5 * (number - (len(lines) - 1) / 2))
    points = [point for line in lines.values() for point in line.points]
    heights = [height for _, *values in points for height in values] + ([] if margin is None else [-margin, margin])
    _set_scale(axes, sorted({x for x, *_ in points if x is not None}), heights)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    if margin is None:
        axes.yaxis.set_major_formatter(PERCENT)
    axes.set_xlabel(escape_text(xlabel))
    axes.set_ylabel(ylabel)
    draw_grid(axes)
    figure.legend(loc="outside upper left", ncols=1, fontsize=9, frameon=False, handlelength=2.6, labelspacing=0.3)
    return figure


def _draw_line(axes: Axes, name: str, line: Line, style: tuple[str, str, str], shift: float) -> None:
    """Draw a line, shifted to the right by so many points of print."""
    colour, marker, dashes = style
    figure = axes.get_figure()
    assert figure is not None
    translation = ScaledTranslation(shift / 72, 0, figure.dpi_scale_trans)
    xs: list[float] = [x for x, *_ in line.points if x is not None]
    _, means, lows, highs = zip(*line.points, strict=True)
    transform = axes.transData + translation
    if not xs:
        axes.axhline(means[0], color=colour, linewidth=1.3, linestyle="--", alpha=0.8)
        xs, transform, dashes = [0.97], axes.get_yaxis_transform() + translation, "--"
    axes.vlines(xs, lows, highs, color=colour, linewidth=1.6, alpha=0.55, transform=transform)
    axes.plot(
        xs, means, dashes, color=colour, marker=marker, markersize=5.5, linewidth=1.6, label=name, transform=transform
    )


def _set_scale(axes: Axes, values: Sequence[float], heights: Sequence[float]) -> None:
    """Make room for all points. x is logarithmic if it spans a decade or more, with 0 beside the smallest value."""
    positive = [value for value in values if value > 0]
    if positive and positive[-1] >= 10 * positive[0]:
        if len(positive) == len(values):
            axes.set_xscale("log")
        else:
            axes.set_xscale("symlog", linthresh=positive[0], linscale=0.6)
    if len(values) <= MAX_TICKS:
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.minorticks_off()
    scale = axes.xaxis.get_transform()
    left, right = scale.transform([values[0], values[-1]])
    axes.set_xlim(*scale.inverted().transform([left - 0.08 * (right - left), right + 0.08 * (right - left)]))
    low, high = min(heights), max(heights)
    axes.set_ylim(low - (0.06 * (high - low) or 0.01), high + (0.06 * (high - low) or 0.01))
