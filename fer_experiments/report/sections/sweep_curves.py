"""Curves over a setting that was swept: one for each arm, over the values of the key."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.scores import METRIC_TITLES
from fer_experiments.report.figures.pictures import Picture, draw_picture
from fer_experiments.report.figures.sweep_plot import Line, sweep_plot
from fer_experiments.report.findings import Findings
from fer_experiments.report.section import ReportContext, Values
from fer_experiments.report.study_record import StudyRecord

CURVES_FILE = "curves.csv"
SCORE = ["mean", "low", "high"]
DIFFERENCE = ["difference", "difference_low", "difference_high"]
Point = tuple[float | None, str]
"""(value of the key, arm); the value of an arm without the key is None."""


@dataclass(frozen=True)
class Panel:
    """Curves over the values of `key`, while the other swept keys have the values `fixed`.

    curves: {name of the curve, which is what its arms have in common: its points in order}. An arm without the key is a
    level curve, with one point.
    """

    key: str
    fixed: str
    curves: Mapping[str, Sequence[Point]]


def build_values(context: ReportContext) -> Values | None:
    panels = draw_panels(context.record, context.findings)
    return {"panels_by_key": panels} if panels else None


# ---- which arms are joined


def build_panels(arms: Sequence[str]) -> list[Panel]:
    """Return a panel for each key that has two or more numbers in the arms' names, and each setting of the other keys.

    An arm without one of the other keys is in every panel; one whose value of the key is not a number is in none.
    """
    names = {arm: ArmName.parse(arm) for arm in arms}
    numbers: dict[str, set[float | None]] = {}
    for name in names.values():
        for key, value in name.values.items():
            numbers.setdefault(key, set()).add(parse_number(value))
    keys = [key for key, values in numbers.items() if len(values - {None}) > 1]
    panels = []
    for key in keys:
        for fixed in _find_fixed_settings(list(names.values()), key, [each for each in keys if each != key]):
            curves = _build_curves(names, key, fixed)
            if len({value for points in curves.values() for value, _ in points} - {None}) > 1:
                panels.append(Panel(key, ", ".join(f"{name}={value}" for name, value in fixed.items()), curves))
    return panels


def parse_number(text: str) -> float | None:
    """Return a value of an arm's name as a number, None if it is not a finite one."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _find_fixed_settings(names: Sequence[ArmName], key: str, keys: Sequence[str]) -> list[dict[str, str]]:
    """Return the settings of the swept `keys`, all but `key`, that arms with `key` have.

    A setting that is part of a larger one is left out: its arms are in the panel of the larger one.
    """
    settings: list[dict[str, str]] = []
    for name in names:
        setting = {swept: name.values[swept] for swept in keys if swept in name.values}
        if key in name.values and setting not in settings:
            settings.append(setting)
    return [setting for setting in settings if not any(setting.items() < larger.items() for larger in settings)]


def _build_curves(names: Mapping[str, ArmName], key: str, fixed: Mapping[str, str]) -> dict[str, list[Point]]:
    """Return the curves of one panel: arms that have the fixed values, or lack their keys, by the rest of their name.

    Arms with the same rest that lack different keys are different curves: "dcgan" and "dcgan without balance.add".
    """
    panel = {
        arm: name
        for arm, name in names.items()
        if all(name.values.get(swept, value) == value for swept, value in fixed.items())
    }
    rest = {arm: str(name.without({key, *fixed})) for arm, name in panel.items()}
    missing = {arm: tuple(each for each in (key, *fixed) if each not in name.values) for arm, name in panel.items()}
    missing_by_rest: dict[str, set[tuple[str, ...]]] = {}
    for arm in panel:
        missing_by_rest.setdefault(rest[arm], set()).add(missing[arm])
    curves: dict[str, list[Point]] = {}
    for arm, name in panel.items():
        value = parse_number(name.values[key]) if key in name.values else None
        if value is None and key in name.values:
            continue
        is_ambiguous = len(missing_by_rest[rest[arm]]) > 1
        without = f" without {', '.join(missing[arm])}" if missing[arm] and is_ambiguous else ""
        curves.setdefault(rest[arm] + without, []).append((value, arm))
    return {curve: sorted(points, key=lambda point: point[0] or 0.0) for curve, points in curves.items()}


# ---- their numbers


def build_curves_table(record: StudyRecord, findings: Findings) -> pd.DataFrame:
    """Return one row for each point of each curve, in shares of 1.

    Columns: the key, what is fixed, the curve, its value of the key (empty for a level curve); mean and interval on
    test; and, for curves that have generated images somewhere, the difference from `against`, which is the arm that the
    verdict names.
    """
    with_generated = set(record.generated_arms())
    rows = []
    for panel in build_panels([arm for arm in record.arms if arm in findings.estimates]):
        for curve, points in panel.curves.items():
            is_generated = any(arm in with_generated for _, arm in points)
            for value, arm in points:
                rows.append(
                    {
                        "key": panel.key,
                        "fixed": panel.fixed,
                        "curve": curve,
                        "generated": is_generated,
                        "value": value,
                        "arm": arm,
                        "seeds": len(record.results_of(arm)),
                        **_arm_columns(findings, arm, is_generated),
                    }
                )
    return pd.DataFrame(rows)


def _arm_columns(findings: Findings, arm: str, has_difference: bool) -> dict[str, float | str | None]:
    """Return an arm's mean and interval, and the difference from the arm that its verdict names, if any."""
    estimate = findings.estimates[arm]
    pairs = [
        verdict.pairs[0]
        for verdict in findings.arms
        if has_difference and verdict.arm == arm and verdict.pairs and verdict.pairs[0].against == verdict.against
    ]
    pair = pairs[0] if pairs else None
    return {
        "mean": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "against": pair.against if pair else "",
        "difference": pair.comparison.difference if pair else None,
        "difference_low": pair.comparison.low if pair else None,
        "difference_high": pair.comparison.high if pair else None,
    }


# ---- their pictures


def draw_panels(record: StudyRecord, findings: Findings) -> dict[str, list[list[Picture]]]:
    """Return {key: its panels}, the key with the fewest panels first.

    A panel is a picture of the scores and, with generated images, one of the differences.
    """
    table = build_curves_table(record, findings)
    panels: dict[str, list[list[Picture]]] = {}
    for _, rows in table.groupby(["key", "fixed"], sort=False) if len(table) else ():
        panels.setdefault(str(rows["key"].iloc[0]), []).append(_draw_panel(rows, record.question))
    return dict(sorted(panels.items(), key=lambda item: len(item[1])))


def _draw_panel(rows: pd.DataFrame, question: Question) -> list[Picture]:
    key, fixed = (str(rows[column].iloc[0]) for column in ("key", "fixed"))
    prefix, metric = f"{fixed}: " if fixed else "", METRIC_TITLES[question.metric]
    lines = _build_lines(rows, SCORE)
    caption = f"{prefix}{metric} on test"
    figure = sweep_plot(lines, key, f"{metric} on test")
    pictures = [draw_picture(figure, caption, f"{caption} along {key}: {_describe_lines(lines)}")]
    points = rows[rows["difference"].notna()].copy()
    if points["value"].notna().any():
        points[DIFFERENCE] *= 100
        lines = _build_lines(points, DIFFERENCE)
        caption = f"{prefix}minus {_describe_comparison_arms(points)}"
        figure = sweep_plot(lines, key, "difference, points", margin=100 * question.margin)
        alt = f"{caption}; difference in points along {key}: {_describe_lines(lines)}"
        pictures.append(draw_picture(figure, caption, alt))
    return pictures


def _build_lines(rows: pd.DataFrame, columns: list[str]) -> dict[str, Line]:
    lines = {}
    for curve, points in rows.groupby("curve", sort=False):
        xs = [None if math.isnan(x) else x for x in points["value"].astype(float)]
        values = zip(xs, *(points[column].astype(float) for column in columns), strict=True)
        lines[str(curve)] = Line(bool(points["generated"].iloc[0]), list(values))
    return lines


def _describe_comparison_arms(points: pd.DataFrame) -> str:
    """Return "oversample+traditional at 2, 5; none+traditional at 10": the arms that the verdicts name."""
    values_by_arm: dict[str, list[str]] = {}
    for value, against in zip(points["value"], points["against"], strict=True):
        name = ArmName.parse(against)
        values = values_by_arm.setdefault(str(name.without(set(name.values))), [])
        if not math.isnan(value) and f"{value:g}" not in values:
            values.append(f"{value:g}")
    return "; ".join(f"{arm} at {', '.join(values)}" for arm, values in values_by_arm.items())


def _describe_lines(lines: Mapping[str, Line]) -> str:
    """Return "none: level 0.7; dcgan: 0 0.7, 50 0.8": each curve's values of the key, with the means."""
    texts = []
    for name, line in lines.items():
        points = [f"{'level' if x is None else f'{x:g}'} {mean:.3g}" for x, mean, *_ in line.points]
        texts.append(f"{name}: {', '.join(points)}")
    return "; ".join(texts)
