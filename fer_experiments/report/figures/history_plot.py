"""Plots of a training's history, by epoch or by step."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fer_experiments.report.figures.style import BLUE, GRAY, ORANGE, PERCENT, draw_grid

History = Sequence[Mapping[str, float]]
"""A row for each epoch, or for each mean of the logged steps."""
MAX_MARKED = 20  # points; a longer curve has no markers


def history_plot(
    histories: Sequence[History],
    lines: Mapping[str, str],
    *,
    x: str = "epoch",
    ylim: tuple[float, float] | None = None,
    is_percentage: bool = False,
    chosen_epochs: Sequence[int] = (),
) -> Figure:
    """Draw the mean of each line over the seeds and, if there are several, each seed as a thin line.

    Args:
        histories: one for each seed.
        lines: {key of the history: name in the legend}, at most two.
        x: the key of the horizontal axis.
        ylim: the range of the vertical axis; None: that of the lines.
        is_percentage: whether values are shares in [0, 1].
        chosen_epochs: each is marked by a dotted line.
    """
    figure = Figure(figsize=(3.9, 2.5), layout="constrained")
    axes = figure.subplots()
    for (key, name), colour in zip(lines.items(), (BLUE, ORANGE), strict=False):
        _draw_line(axes, histories, x, key, name, colour)
    for number, epoch in enumerate(sorted(set(chosen_epochs))):
        label = "" if number else "chosen epoch"
        axes.axvline(epoch, color=GRAY, linestyle=":", linewidth=1, label=label, zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if is_percentage:
        axes.yaxis.set_major_formatter(PERCENT)
    if ylim is not None:
        axes.set_ylim(*ylim)
    axes.set_xlabel(x)
    draw_grid(axes)
    figure.legend(loc="outside upper left", ncols=3, fontsize=8.5, frameon=False, handlelength=1.4, columnspacing=1.2)
    return figure


def compute_limits(histories: Sequence[History], keys: Sequence[str]) -> tuple[float, float] | None:
    """Return the range of every finite value of `keys`, with a margin; None if there is no such value."""
    values = [row[key] for history in histories for row in history for key in keys if key in row]
    finite = np.asarray(values, dtype=float)[np.isfinite(values)] if values else np.empty(0)
    if not len(finite):
        return None
    margin = 0.05 * float(np.ptp(finite)) or 0.05
    return float(finite.min()) - margin, float(finite.max()) + margin


def _draw_line(axes: Axes, histories: Sequence[History], x: str, key: str, name: str, colour: str) -> None:
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
    marker = "." if len(mean) <= MAX_MARKED else ""  # without a marker a single epoch would be invisible
    axes.plot(mean.index, mean.to_numpy(), color=colour, linewidth=1.8, marker=marker, label=name)
