"""The figure of a map: differences from the best simple arm over the number of images of the smallest class."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from fer_experiments.bench.map_points import MapPoint
from fer_experiments.evaluation.confusion_figure import escape_text
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import METRIC_TITLES
from fer_experiments.report.figures.style import draw_grid, draw_margin

# Colour and how a marker is filled. Okabe and Ito's colours differ for colour-blind readers, the fills in print.
VERDICT_STYLES = {
    "helps": ("#009e73", "full"),
    "hurts": ("#d55e00", "bottom"),
    "equivalent": ("#0072b2", "left"),
    "undecided": ("#6b7280", "none"),
}
ARM_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p", "h", "*")
CEILING_COLOUR = "#111827"
CEILING_LINE: dict[str, Any] = {"linestyle": "--", "linewidth": 1.2, "marker": ".", "color": CEILING_COLOUR}
SPACING = 6.0  # points of print between the markers of one size


def draw_map(points: Sequence[MapPoint], question: Question) -> Figure:
    """Draw a row of panels for each data set, with a column for each augmentation.

    The shape of a marker tells the arm, its colour and filling the verdict; the ceiling is a dashed line. Differences
    within the band +-margin count as none.
    """
    data_sets = list(dict.fromkeys(point.data_set for point in points))
    augmentations = sorted({point.augmentation for point in points})
    arms = list(dict.fromkeys(point.arm for point in points if point.kind == "generated"))
    size = max(5.5, 4.2 * len(augmentations)), 2.7 * len(data_sets) + 0.19 * len(arms) + 0.9
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(data_sets), len(augmentations), squeeze=False, sharey="row")
    for data_set, panels in zip(data_sets, grid, strict=True):
        row = [point for point in points if point.data_set == data_set]
        for augmentation, axes in zip(augmentations, panels, strict=True):
            _draw_panel(axes, [point for point in row if point.augmentation == augmentation], arms)
            title = "\n".join(map(escape_text, (data_set, f"augmentation: {augmentation}")))
            axes.set_title(title, fontsize=9, loc="left")
            _set_scale(axes, row, 100 * question.margin)
            draw_grid(axes)
    for axes in grid[-1]:
        axes.set_xlabel("training images of the smallest class")
    figure.supylabel(f"{METRIC_TITLES[question.metric]}, difference\nfrom the best simple arm in points", fontsize=10)
    has_ceiling = any(point.kind == "ceiling" for point in points)
    figure.legend(handles=_list_verdicts(), loc="outside upper left", ncols=4, fontsize=9, frameon=False)
    figure.legend(handles=_list_lines(arms, has_ceiling), loc="outside lower left", fontsize=9, frameon=False)
    return figure


def _draw_panel(axes: Axes, points: Sequence[MapPoint], arms: Sequence[str]) -> None:
    """Draw the points of one data set and augmentation, those of one size side by side."""
    figure = axes.get_figure()
    assert figure is not None
    for arm in dict.fromkeys(point.arm for point in points if point.kind == "ceiling"):
        ceiling = [point for point in points if point.arm == arm]
        axes.plot([point.training_images for point in ceiling], [point.difference for point in ceiling], **CEILING_LINE)
    for place, arm in enumerate(arms):
        shift = ScaledTranslation(SPACING * (place - (len(arms) - 1) / 2) / 72, 0, figure.dpi_scale_trans)
        transform = axes.transData + shift
        for point in points:
            if point.arm == arm and point.low is not None and point.high is not None:
                colour, fill = VERDICT_STYLES[str(point.verdict)]
                x = point.training_images
                axes.vlines(x, point.low, point.high, color=colour, linewidth=1.3, transform=transform)
                axes.plot(x, point.difference, transform=transform, **_marker(place, colour, fill))


def _set_scale(axes: Axes, points: Sequence[MapPoint], margin: float) -> None:
    """Make room for the points of a data set, with a tick at each of its sizes, and draw the band +-margin."""
    draw_margin(axes, margin)
    sizes = sorted({point.training_images for point in points})
    room = max(1.2, (sizes[-1] / sizes[0]) ** 0.09)
    axes.set_xscale("log")
    axes.set_xlim(sizes[0] / room, sizes[-1] * room)
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    heights = [value for point in points for value in (point.low, point.high, point.difference) if value is not None]
    low, high = min(-margin, *heights), max(margin, *heights)
    axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    axes.yaxis.set_major_locator(MaxNLocator(6))


def _marker(place: int, colour: str, fill: str) -> dict[str, Any]:
    """Return the arguments of plot for a marker of the arm at this place."""
    return {
        "marker": ARM_MARKERS[place % len(ARM_MARKERS)],
        "fillstyle": fill,
        "color": colour,
        "markerfacecolor": "white" if fill == "none" else colour,
        "markerfacecoloralt": "white",
        "markersize": 7,
        "linestyle": "",
    }


def _list_verdicts() -> list[Line2D]:
    return [
        Line2D([], [], label=verdict, **_marker(0, colour, fill)) for verdict, (colour, fill) in VERDICT_STYLES.items()
    ]


def _list_lines(arms: Sequence[str], has_ceiling: bool) -> list[Line2D]:
    """Return what the legend shows of the arms with generated images, and of the ceiling."""
    lines = [
        Line2D([], [], label=escape_text(arm), **_marker(place, CEILING_COLOUR, "full"))
        for place, arm in enumerate(arms)
    ]
    return [*lines, Line2D([], [], label="ceiling: more real images", **CEILING_LINE)] if has_ceiling else lines
