"""What changes along a setting that was swept: a curve for each arm over the values of the key."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from fer_experiments.evaluation.arms import ArmName
from fer_experiments.evaluation.verdict import Paired, Question
from fer_experiments.report import figures
from fer_experiments.report.answer import generated_arms
from fer_experiments.report.pictures import Picture, drawn
from fer_experiments.report.study import StudyRecord
from fer_experiments.report.verdicts import Findings

FILE = "curves.csv"
SCORE = ["mean", "low", "high"]
DIFFERENCE = ["difference", "difference_low", "difference_high"]
Point = tuple[float | None, str]


@dataclass(frozen=True)
class Panel:
    """Curves over the values of `key`, where the other swept keys have the values `held`.

    curves: {curve, the rest of its arms' name: (value, arm) in order}. An arm without the key is level, its value None.
    """

    key: str
    held: str
    curves: Mapping[str, Sequence[Point]]


def panels(arms: Sequence[str]) -> list[Panel]:
    """For each key that has two or more numbers in the arms' names: a panel for each setting of the other such keys.

    An arm without one of these other keys is in every panel; one whose value of the key is no number is in none.
    """
    names = {arm: ArmName.parse(arm) for arm in arms}
    found = {key: {number(name.values[key]) for name in names.values() if key in name.values}
             for key in dict.fromkeys(key for name in names.values() for key in name.values)}  # fmt: skip
    keys = [key for key, numbers in found.items() if len(numbers - {None}) > 1]
    drawn_up = []
    for key in keys:
        for held in _held(list(names.values()), key, [other for other in keys if other != key]):
            curves = _curves(names, key, held)
            if len({value for points in curves.values() for value, _ in points} - {None}) > 1:
                drawn_up.append(Panel(key, ", ".join(f"{other}={value}" for other, value in held.items()), curves))
    return drawn_up


def number(text: str) -> float | None:
    """A value as it stands in a name, or None where it is no finite number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _held(names: Sequence[ArmName], key: str, others: Sequence[str]) -> list[dict[str, str]]:
    """Settings of the other swept keys that arms with `key` have; one that is part of another is none of its own."""
    found: list[dict[str, str]] = []
    for name in names:
        one = {other: name.values[other] for other in others if other in name.values}
        if key in name.values and one not in found:
            found.append(one)
    return [one for one in found if not any(one.items() < more.items() for more in found)]


def _curves(names: Mapping[str, ArmName], key: str, held: Mapping[str, str]) -> dict[str, list[Point]]:
    here = {arm: name for arm, name in names.items()
            if all(name.values.get(other, value) == value for other, value in held.items())}  # fmt: skip
    rest = {arm: str(name.without({key, *held})) for arm, name in here.items()}
    missing = {arm: [one for one in (key, *held) if one not in name.values] for arm, name in here.items()}
    lacks: dict[str, set[tuple[str, ...]]] = {}
    for arm in here:
        lacks.setdefault(rest[arm], set()).add(tuple(missing[arm]))
    curves: dict[str, list[Point]] = {}
    for arm, name in here.items():
        value = number(name.values[key]) if key in name.values else None
        if value is None and key in name.values:
            continue
        without = f" without {', '.join(missing[arm])}" if missing[arm] and len(lacks[rest[arm]]) > 1 else ""
        curves.setdefault(rest[arm] + without, []).append((value, arm))
    return {curve: sorted(points, key=lambda point: point[0] or 0.0) for curve, points in curves.items()}


def table(record: StudyRecord, findings: Findings) -> pd.DataFrame:
    """One row for each point of each curve: mean and interval on test, and the difference from `against`; shares of 1.

    value is empty for an arm that is level; the difference is for curves that have generated images somewhere.
    """
    compared = _compared(findings)
    made = set(generated_arms(record))
    rows = []
    for panel in panels([arm for arm in record.arms if arm in findings.estimates]):
        for curve, points in panel.curves.items():
            generated = any(arm in made for _, arm in points)
            for value, arm in points:
                found, pair = findings.estimates[arm], compared.get(arm) if generated else None
                rows.append(
                    {
                        "key": panel.key,
                        "held": panel.held,
                        "curve": curve,
                        "generated": generated,
                        "value": value,
                        "arm": arm,
                        "seeds": len(record.of_arm(arm)),
                        "mean": found.mean,
                        "low": found.low,
                        "high": found.high,
                        "against": pair.against if pair else "",
                        "difference": pair.comparison.difference if pair else None,
                        "difference_low": pair.comparison.low if pair else None,
                        "difference_high": pair.comparison.high if pair else None,
                    }
                )
    return pd.DataFrame(rows)


def _compared(findings: Findings) -> dict[str, Paired]:
    """{arm: the comparison that its verdict names}."""
    return {said.arm: said.pairs[0] for said in findings.arms if said.pairs and said.pairs[0].against == said.against}


def pictures(record: StudyRecord, findings: Findings) -> list[tuple[str, list[list[Picture]]]]:
    """(key, its panels: scores and, with generated images, differences), the key with the fewest panels first."""
    rows = table(record, findings)
    shown: dict[str, list[list[Picture]]] = {}
    for _, panel in rows.groupby(["key", "held"], sort=False) if len(rows) else ():
        shown.setdefault(str(panel["key"].iloc[0]), []).append(_of_panel(panel, record.question))
    return sorted(shown.items(), key=lambda item: len(item[1]))


def _of_panel(panel: pd.DataFrame, question: Question) -> list[Picture]:
    key, held = (str(panel[column].iloc[0]) for column in ("key", "held"))
    where, metric = f"{held}: " if held else "", question.metric.replace("_", " ")
    lines = _lines(panel, SCORE)
    said = f"{where}{metric} on test"
    figure = figures.along(lines, key, f"{metric} on test")
    shown = [drawn(said, f"{said} along {key}: {_in_words(lines)}", figure)]
    points = panel[panel["difference"].notna()].copy()
    if points["value"].notna().any():
        points[DIFFERENCE] *= 100
        lines = _lines(points, DIFFERENCE)
        said = f"{where}minus {_against(points)}"
        figure = figures.along(lines, key, "difference, points", margin=100 * question.margin)
        shown.append(drawn(said, f"{said}; difference in points along {key}: {_in_words(lines)}", figure))
    return shown


def _lines(rows: pd.DataFrame, columns: list[str]) -> dict[str, figures.Line]:
    lines = {}
    for curve, points in rows.groupby("curve", sort=False):
        xs = [None if math.isnan(x) else x for x in points["value"].astype(float)]
        values = zip(xs, *(points[column].astype(float) for column in columns), strict=True)
        lines[str(curve)] = figures.Line(bool(points["generated"].iloc[0]), list(values))
    return lines


def _against(points: pd.DataFrame) -> str:
    """ "oversample+traditional at 2, 5; none+traditional at 10": whom the verdicts name, without what is held."""
    places: dict[str, list[str]] = {}
    for value, against in zip(points["value"], points["against"], strict=True):
        plain = str(ArmName.parse(against).without(set(ArmName.parse(against).values)))
        if not math.isnan(value) and f"{value:g}" not in places.setdefault(plain, []):
            places[plain].append(f"{value:g}")
    return "; ".join(f"{arm} at {', '.join(found)}" for arm, found in places.items())


def _in_words(lines: Mapping[str, figures.Line]) -> str:
    said = {name: [f"{'level' if x is None else f'{x:g}'} {mean:.3g}" for x, mean, *_ in line.points]
            for name, line in lines.items()}  # fmt: skip
    return "; ".join(f"{name}: {', '.join(values)}" for name, values in said.items())
