"""The tables of a study: every result, the means of each arm, and every comparison."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

import fer_experiments.pandas_strings  # noqa: F401 - before any table of names
from fer_experiments.data.injection import ORIGIN_TITLES
from fer_experiments.enumeration import MAX_NAMED
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.result import Result
from fer_experiments.evaluation.verdict import ArmVerdict
from fer_experiments.report.findings import Findings
from fer_experiments.report.study_record import StudyRecord

MAX_RECALLS = 3  # classes whose recalls fit into the page's table of arms; more have a table of their own
# {metric of result.json: (title in the summary, format)}
METRICS = {
    "accuracy": ("accuracy", ".2%"),
    "balanced_accuracy": ("balanced accuracy", ".2%"),
    "macro_f1": ("macro F1", ".2%"),
    "auroc": ("AUROC", ".2%"),
    "average_precision": ("average precision", ".2%"),
    "loss": ("loss", ".4f"),
    "ece": ("ECE", ".4f"),
}


def build_results_table(record: StudyRecord) -> pd.DataFrame:
    """Return one row for each finished arm and seed: counts, steps, and metrics on test, NaN if undefined."""
    return pd.DataFrame([_result_row(result) for result in record.results])


def _result_row(result: Result) -> dict[str, str | float | None]:
    test = result.metrics["test"]
    return {
        "arm": result.arm,
        "seed": result.seed,
        "real": sum(result.real.values()),
        "repeated": sum(result.repeated.values()),
        "generated": sum(result.generated.values()),
        "interpolated": sum(result.interpolated.values()),
        "copied": sum(result.copied.values()),
        "added_real": sum(result.added_real.values()),
        "optimizer_steps": result.optimizer_steps,
        "selected_epoch": result.selected_epoch,
        **{name: _nan_if_none(test.get(name)) for name in METRICS},  # results of earlier versions lack some
        **{f"recall_{name}": _nan_if_none(value) for name, value in test["recall"].items()},
        **{f"precision_{name}": _nan_if_none(value) for name, value in test.get("precision", {}).items()},
        "test_images": test["images"],
        "split_hash": result.split_hash,
        "seconds": round(result.seconds, 1),
    }


def build_summary_table(record: StudyRecord, max_recalls: int = MAX_RECALLS) -> pd.DataFrame:
    """Return one row for each arm, in the study's order: the means over its seeds, as text.

    It has the recall of each class if there are at most max_recalls classes; build_recall_table has it of any number.
    """
    table = build_results_table(record)
    rows = []
    for arm in record.arms:
        arm_rows = table[table["arm"] == arm] if len(table) else table
        if arm_rows.empty:
            rows.append({"arm": arm, "seeds": "0"})
            continue
        mean = arm_rows.mean(numeric_only=True)
        first = record.results_of(arm)[0]
        classes = first.classes if len(first.classes) <= max_recalls else []
        rows.append(
            {
                "arm": arm,
                "seeds": str(len(arm_rows)),
                "training images": describe_training_images(first),
                **{title: _format(mean[metric], form) for metric, (title, form) in METRICS.items()},
                **{f"recall {name}": _format(mean[f"recall_{name}"], ".2%") for name in classes},
            }
        )
    return pd.DataFrame(rows).fillna("")


def build_recall_table(record: StudyRecord) -> pd.DataFrame:
    """Return the mean recall on test of each class (row) by each arm with results (column), NaN if undefined."""
    table = build_results_table(record)
    if table.empty:
        return pd.DataFrame()
    columns = [name for name in table.columns if name.startswith("recall_")]
    means = table.groupby("arm", sort=False)[columns].mean().T
    return means.rename(index=lambda name: name.removeprefix("recall_"))[[arm for arm in record.arms if arm in means]]


def build_comparisons_table(findings: Findings) -> pd.DataFrame:
    """Return one row for each comparison, as text. An arm's verdict stands in the row of its first comparison.

    One seed has no p-values.
    """
    rows = []
    for arm in sort_generated_first(findings.arms):
        for number, pair in enumerate(arm.pairs):
            comparison = pair.comparison
            has_seeds = comparison.seeds > 1
            corrected = "" if arm.p_value is None or number > 0 else f"{arm.p_value:.3g}"
            rows.append(
                {
                    "arm": pair.arm,
                    "against": pair.against,
                    "verdict": arm.verdict if number == 0 else "",
                    "difference": _format_points(comparison.difference),
                    "interval": f"{_format_points(comparison.low)} to {_format_points(comparison.high)}",
                    "p": f"{comparison.interval_p_value:.3g}" if has_seeds else "",
                    "corrected p": corrected if has_seeds else "",
                    "sign-flip p": f"{comparison.p_value:.3g}" if has_seeds else "",
                    "P(better)": f"{comparison.probability_of_outperforming:.0%}" if has_seeds else "",
                    "fixed / broken": f"{comparison.fixed:.0f} / {comparison.broken:.0f}",
                    "resolvable": f"{100 * comparison.resolvable:.1f}",
                    "seeds": str(comparison.seeds),
                }
            )
    return pd.DataFrame(rows)


def build_console_table(record: StudyRecord, findings: Findings) -> pd.DataFrame:
    """Return one row for each arm, in the study's order, as short text: its mean, and its verdict.

    Arms are named without their augmentation if all of them have the same.
    """
    metric = record.question.metric
    title, form = METRICS[metric]
    results = build_results_table(record)
    means = results.groupby("arm")[metric].mean().to_dict() if len(results) else {}
    verdicts = {verdict.arm: verdict for verdict in findings.arms}
    short_names = shorten_names(record.arms)
    rows = []
    for arm in record.arms:
        mean = _format(means[arm], form) if arm in means else ""
        row = {"arm": short_names[arm], title: mean, "difference": "", "against": ""}
        verdict = verdicts.get(arm)
        if verdict is not None and verdict.pairs:
            pair = verdict.pairs[0]
            low, high = _format_points(pair.comparison.low), _format_points(pair.comparison.high)
            row["difference"] = f"{_format_points(pair.comparison.difference)} ({low} to {high})"
            row["against"] = short_names[pair.against]
        rows.append(row | {"verdict": "" if verdict is None else verdict.verdict})
    return pd.DataFrame(rows)


def shorten_names(arms: Sequence[str]) -> dict[str, str]:
    """Return {arm: name}, without the augmentation if all arms have the same."""
    names = {arm: ArmName.parse(arm) for arm in arms}
    is_shared = len({name.augment for name in names.values()}) == 1
    return {arm: str(replace(name, augment="")) if is_shared else arm for arm, name in names.items()}


def sort_generated_first(verdicts: list[ArmVerdict]) -> list[ArmVerdict]:
    """Return the verdicts on arms with generated images, then those on simple arms."""
    return sorted(verdicts, key=lambda verdict: not verdict.generated)


def describe_training_images(result: Result) -> str:
    """Return "angry 820 + 80 generated, happy 900", or of many classes "100 classes: 6,170 + 800 generated"."""
    additions = {"generated": result.generated, "repeated": result.repeated}
    additions |= {title: getattr(result, origin) for origin, title in ORIGIN_TITLES.items()}
    parts = []
    for name in result.classes:
        extra = [f" + {counts[name]} {kind}" for kind, counts in additions.items() if counts.get(name)]
        parts.append(f"{name} {result.real[name]}{''.join(extra)}")
    if len(parts) > MAX_NAMED:
        totals = [f" + {sum(counts.values()):,} {kind}" for kind, counts in additions.items() if counts]
        return f"{len(parts)} classes: {sum(result.real.values()):,}{''.join(totals)}"
    return ", ".join(parts)


def _nan_if_none(value: float | None) -> float:
    """Return NaN, an empty cell of the file, for a value that is undefined or not recorded."""
    return math.nan if value is None else value


def _format(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)


def _format_points(share: float) -> str:
    return f"{100 * share:+.1f}"
