"""The figures of the report draw every number in its place, whatever the names are."""

import numpy as np
import pytest

from fer_experiments.evaluation.calibration import Bin
from fer_experiments.evaluation.confusion_figure import draw_confusion_matrix
from fer_experiments.report.figures.history_plot import compute_limits, history_plot
from fer_experiments.report.figures.plots import difference_plot, dot_plot, reliability_diagram
from fer_experiments.report.figures.style import render_svg
from tests.results import HISTORY


def test_dot_plot_has_a_dot_for_each_seed_and_the_mean():
    axes = dot_plot({"none": [0.5, 0.7], "dcgan": [0.9], "lost": []}, ["dcgan"], "score", {}).axes[0]
    assert [len(points.get_offsets()) for points in axes.collections] == [2, 1]
    assert [text.get_text() for text in axes.texts] == ["60.0%", "90.0%", "no result"]
    assert axes.yaxis_inverted()  # the first arm on top


def test_dot_plot_has_a_line_for_each_interval():
    axes = dot_plot({"none": [0.5, 0.7], "dcgan": [0.9, 0.8]}, [], "score", {"none": (0.4, 0.8)}).axes[0]
    assert [list(line.get_xdata()) for line in axes.lines if line.get_linewidth() == 5] == [[0.4, 0.8]]


def test_difference_plot_has_an_interval_for_each_pair_and_a_band_of_the_margin():
    rows = {
        "dcgan − none": (-3.0, -5.0, -1.0, "hurts"),
        "oversample − none": (0.1, -0.2, 0.4, "equivalent"),
    }
    axes = difference_plot(rows, 0.5, "points").axes[0]
    assert [list(line.get_xdata()) for line in axes.lines[1:]] == [[-5.0, -1.0], [-0.2, 0.4]]
    assert [text.get_text() for text in axes.texts] == ["-3.0  hurts", "+0.1  equivalent"]
    assert (axes.patches[0].get_x(), axes.patches[0].get_width()) == (-0.5, 1.0)
    assert axes.yaxis_inverted()


def test_figures_are_narrow_enough_for_a_phone():
    """At 360 pixels, text of 10 points is about 10 pixels high."""
    name = "dcgan+traditional − none+traditional"
    plots = (
        difference_plot({name: (0.0, -1.0, 1.0, "equivalent")}, 0.5, "points"),
        dot_plot({"none": [0.5]}, [], "score", {}),
    )
    assert all(figure.get_figwidth() <= 5 for figure in plots)
    assert plots[0].axes[0].get_yticklabels()[0].get_text() == "dcgan+traditional\n− none+traditional"


def test_curves_show_every_seed_and_their_mean():
    second = [{"epoch": 1.0, "train/loss": 0.9}, {"epoch": 2.0, "train/loss": 0.7}]
    axes = history_plot([HISTORY, second], {"train/loss": "training"}).axes[0]
    assert [line.get_ydata().tolist() for line in axes.lines] == [[0.7, 0.5], [0.9, 0.7], pytest.approx([0.8, 0.6])]


def test_limits_hold_every_finite_value():
    low, high = compute_limits([HISTORY, [{"train/loss": float("nan")}]], ["train/loss", "valid/loss"])
    assert low < 0.5 < 0.7 < high
    assert compute_limits([[{"train/loss": float("inf")}]], ["train/loss"]) is None


@pytest.mark.parametrize("name", [r"$\nonsense{$", "a$b", "\udcff", "\x00", "怒り", "<script>"])
def test_any_class_name_can_be_drawn(name):
    assert b"<script" not in render_svg(draw_confusion_matrix([[1, 0], [0, 1]], [name, "happy"]))


@pytest.mark.parametrize(("classes", "numbers"), [(2, 4), (20, 400), (21, 0), (100, 0)])
def test_a_confusion_matrix_of_many_classes_is_no_larger_and_has_no_numbers(classes, numbers):
    counts = np.ones((classes, classes), dtype=int)
    figure = draw_confusion_matrix(counts.tolist(), [str(number) for number in range(classes)])
    assert len(figure.axes[0].texts) == numbers
    assert max(figure.get_size_inches()) < 17


def test_reliability_has_a_bar_for_each_bin_with_images():
    bins = [Bin(0, None, None), Bin(2, 0.4, 0.5), Bin(4, 0.9, 0.75)]
    bars = reliability_diagram(bins).axes[0].patches
    assert [(round(bar.get_x() + bar.get_width() / 2, 3), bar.get_height()) for bar in bars] == [
        (0.5, 0.5), (0.833, 0.75)
    ]  # fmt: skip
    assert bars[0].get_alpha() < bars[1].get_alpha() == 1


def test_the_same_figure_gives_the_same_bytes():
    first, second = (render_svg(draw_confusion_matrix([[1, 0], [0, 1]], ["a", "b"])) for _ in range(2))
    assert first == second
