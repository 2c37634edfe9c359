"""The confusion matrix as a figure, drawn without a display."""

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MAX_NUMBERED = 20  # classes; a larger figure would have thousands of numbers, too small to read


def escape_text(text: str) -> str:
    """Return text that matplotlib shows literally: $ starts no formula, unprintable characters become U+FFFD."""
    printable = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return printable.replace("$", r"\$")


def draw_confusion_matrix(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """Draw confusion (K, K): rows are true classes, columns predicted ones, shaded by the share of the row.

    Each cell has its number if there are at most MAX_NUMBERED classes. The figure of more classes is no larger.
    """
    counts = np.asarray(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    is_numbered = len(classes) <= MAX_NUMBERED
    side = 1.6 + 0.7 * min(len(classes), MAX_NUMBERED)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    names = [escape_text(name) for name in classes]
    size = min(10.0, 700 / len(classes))  # points; a row is about 1000 / K high
    rotation, alignment = (45, "right") if is_numbered else (90, "center")
    axes.set_xticks(range(len(classes)), names, rotation=rotation, ha=alignment, fontsize=size)
    axes.set_yticks(range(len(classes)), names, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row, column in np.ndindex(counts.shape) if is_numbered else ():
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=colour, fontsize=9)
    return figure


def to_pixels(figure: Figure) -> np.ndarray:
    """Draw a figure as pixels (H, W, 3) uint8."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
