"""What all figures of the report share: colours, labels, and how a figure becomes SVG."""

import io
import warnings

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

BLUE, ORANGE, GREEN, RED, GRAY = "#2b6cb0", "#c2410c", "#15803d", "#b91c1c", "#6b7280"
SIMPLE, GENERATED = BLUE, ORANGE  # of arms without and with generated images
LIGHT_GRAY = "#e5e7eb"
PERCENT = FuncFormatter(lambda share, _: f"{100 * share:.4g}%")


def draw_grid(axes: Axes) -> None:
    """Draw a light grid behind everything, and no frame on the right and at the top."""
    axes.grid(color=LIGHT_GRAY, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["right", "top"]].set_visible(False)


def draw_margin(axes: Axes, margin: float) -> None:
    """Draw the band from -margin to margin, within which a difference counts as none, and a line at 0."""
    axes.axhspan(-margin, margin, color="#94a3b8", alpha=0.3, linewidth=0, zorder=0)
    axes.axhline(0, color="#374151", linewidth=1, zorder=1)


def render_svg(figure: Figure) -> bytes:
    """Return the same bytes for the same figure. Text stays text, so that the reader's fonts draw what ours lack."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    return buffer.getvalue()
