"""The curves of a sweep: which arms are joined, what is fixed, and that every number can be drawn."""

import pandas as pd
import pytest

from fer_experiments.report.figures.style import GENERATED, SIMPLE
from fer_experiments.report.figures.sweep_plot import Line, sweep_plot
from fer_experiments.report.findings import compute_findings
from fer_experiments.report.sections.sweep_curves import Panel, build_curves_table, build_panels, draw_panels
from fer_experiments.report.write_report import write_report
from tests.results import write_study

DOSES = ["none", "dcgan [balance.add=0]", "dcgan [balance.add=50]", "dcgan [balance.add=1000]"]


def with_ratios(arms: list[str], *ratios: int) -> list[str]:
    """Return the names of the arms with each value of data.imbalance."""
    return [f"{arm[:-1]}, data.imbalance={ratio}]" if arm.endswith("]") else f"{arm} [data.imbalance={ratio}]"
            for ratio in ratios for arm in arms]  # fmt: skip


def test_arms_are_joined_by_the_rest_of_their_name_in_the_order_of_the_key():
    (panel,) = build_panels(with_ratios(["none", "dcgan+x"], 10, 2))
    assert (panel.key, panel.fixed) == ("data.imbalance", "")
    assert panel.curves == {
        "none": [(2.0, "none [data.imbalance=2]"), (10.0, "none [data.imbalance=10]")],
        "dcgan+x": [(2.0, "dcgan+x [data.imbalance=2]"), (10.0, "dcgan+x [data.imbalance=10]")],
    }


def test_an_arm_without_the_key_is_level():
    (panel,) = build_panels(DOSES)
    assert panel.curves["none"] == [(None, "none")]
    assert [value for value, _ in panel.curves["dcgan"]] == [0.0, 50.0, 1000.0]


def test_an_arm_without_the_key_is_not_a_point_of_the_curve_of_those_with_it():
    (panel,) = build_panels([*DOSES, "dcgan"])
    assert list(panel.curves) == ["none", "dcgan", "dcgan without balance.add"]


def test_two_keys_have_a_panel_for_each_value_of_the_other():
    panels = build_panels(with_ratios(DOSES, 2, 10))
    assert [(panel.key, panel.fixed) for panel in panels] == [
        ("data.imbalance", "balance.add=0"),
        ("data.imbalance", "balance.add=50"),
        ("data.imbalance", "balance.add=1000"),
        ("balance.add", "data.imbalance=2"),
        ("balance.add", "data.imbalance=10"),
    ]
    assert all(set(panel.curves) == {"none", "dcgan"} for panel in panels)
    assert [arm for _, arm in panels[1].curves["none"]] == ["none [data.imbalance=2]", "none [data.imbalance=10]"]


@pytest.mark.parametrize(
    "arms",
    [
        ["none", "dcgan"],
        ["dcgan [balance.add=5]", "none"],
        ["dcgan [trainer.precision=32-true]", "dcgan [trainer.precision=bf16-mixed]"],
        ["dcgan [balance.add=nan]", "dcgan [balance.add=inf]", "dcgan [balance.add=5]"],
        ["dcgan [gan.epochs=5, data.imbalance=2]", "dcgan [gan.epochs=6, data.imbalance=3]"],
    ],
)
def test_without_a_sweep_there_are_no_curves(arms):
    assert build_panels(arms) == []


def test_a_value_that_is_not_a_number_is_on_no_curve():
    (panel,) = build_panels([*with_ratios(["none"], 2, 10), "none [data.imbalance=null]"])
    assert panel == Panel("data.imbalance", "", build_panels(with_ratios(["none"], 2, 10))[0].curves)


@pytest.fixture
def record(tmp_path):
    scores = dict(zip(with_ratios(DOSES, 2, 10), (0.7, 0.7, 0.8, 0.6, 0.6, 0.6, 0.6, 0.5), strict=True))
    record = write_study(tmp_path, {arm: {0: score, 1: score} for arm, score in scores.items()}, [0, 1])
    for result in record.results:
        if "balance.add=0" in result.arm:
            result.generated.clear()
    return record


def test_curves_csv_has_the_means_and_the_differences_from_the_named_arm(record, tmp_path):
    write_report(record, tmp_path)
    rows = pd.read_csv(tmp_path / "curves.csv").query("key == 'balance.add' and fixed == 'data.imbalance=2'")
    assert rows["value"].tolist()[1:] == [0, 50, 1000]
    assert rows["mean"].tolist() == pytest.approx([0.7, 0.7, 0.8, 0.6])
    assert rows["difference"].tolist()[1:] == pytest.approx([0.0, 0.1, -0.1])
    assert rows[["value", "difference"]].iloc[0].isna().all()
    assert set(rows["against"].iloc[1:]) == {"none [data.imbalance=2]"}
    assert ((rows["low"] < rows["mean"]) & (rows["mean"] < rows["high"])).all()
    page = (tmp_path / "report.html").read_text()
    assert 'id="sweep"' in page
    assert "data.imbalance=2: minus none at 0, 50, 1000" in page


def test_a_panel_without_generated_images_has_no_differences(record, tmp_path):
    panels = draw_panels(record, compute_findings(record, tmp_path))
    assert list(panels) == ["balance.add", "data.imbalance"]
    assert [[picture.caption.split(":")[0] for picture in panel] for panel in panels["data.imbalance"]] == [
        ["balance.add=0"], ["balance.add=50"] * 2, ["balance.add=1000"] * 2
    ]  # fmt: skip


def test_without_predictions_there_are_no_curves(record, tmp_path):
    assert build_curves_table(record, compute_findings(record, tmp_path / "elsewhere")).empty
    write_report(record, tmp_path / "elsewhere", tmp_path)
    assert not (tmp_path / "curves.csv").exists()
    assert 'id="sweep"' not in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ((1, 2, 50), "log"),
        ((0, 50, 1000), "symlog"),
        ((0.5, 0.9), "linear"),
        ((-1, 0, 1), "linear"),
        ((0, 5), "linear"),
    ],
)
def test_every_value_has_its_place_and_its_tick(values, scale):
    lines = {"dcgan": Line(True, [(x, 0.5, 0.4, 0.6) for x in values])}
    axes = sweep_plot(lines, "key", "score").axes[0]
    assert axes.get_xscale() == scale
    assert [text.get_text() for text in axes.get_xticklabels()] == [f"{value:g}" for value in values]
    places = axes.transAxes.inverted().transform(axes.transData.transform([(x, 0.5) for x in values]))
    assert places[:, 0].min() == pytest.approx(0.08 / 1.16)
    assert places[:, 0].max() == pytest.approx(1.08 / 1.16)
    assert axes.get_ylim()[0] < 0.4 < 0.6 < axes.get_ylim()[1]


def test_generated_and_simple_curves_differ_in_colour_and_marker():
    point = [(1.0, 0.5, 0.4, 0.6), (2.0, 0.5, 0.4, 0.6)]
    lines = {name: Line(name > "m", point) for name in ("a", "b", "x", "y")}
    curves = [
        line for line in sweep_plot(lines, "key", "score", margin=0.1).axes[0].lines if line.get_marker() != "None"
    ]
    assert len({(line.get_color(), line.get_marker()) for line in curves}) == 4
    assert [line.get_color() for line in curves][::2] == [SIMPLE, GENERATED]


def test_arms_that_lack_different_keys_are_different_curves():
    arms = [
        "none",
        "joint",
        "joint [w=0]",
        "joint [p=0]",
        "joint [p=0, w=0]",
        "joint [s=0.25, w=0.25]",
        "joint [s=0.5]",
    ]
    panels = build_panels([*arms, "joint [p=0.5]", "joint [s=0.25, h=a]", "joint [p=0, w=0, s=0]"])
    assert {panel.key for panel in panels} == {"w", "p", "s"}
    for panel in panels:
        for points in panel.curves.values():
            values = [value for value, _ in points]
            assert values == [None] or None not in values
