"""What more images are worth: generated ones beside copies and real ones."""

from fer_experiments.evaluation.more_images import Kind, MoreImages
from fer_experiments.evaluation.scores import METRIC_TITLES
from fer_experiments.report.section import ReportContext, Values
from fer_experiments.report.sections.answer import count_seeds

KINDS: dict[Kind, str] = {
    "added_real": "more real",
    "learning_curve": "more real",
    "generated": "generated",
    "copied": "copied",
}


def build_values(context: ReportContext) -> Values | None:
    rows = context.findings.more_images
    if not rows:
        return None
    metric = METRIC_TITLES[context.record.question.metric]
    return {
        "sentences": describe_more_images(rows, metric, context.record.question.level),
        "rows": [_table_row(row) for kind in KINDS for row in rows if row.kind == kind],
        "has_curve": any(row.kind == "learning_curve" for row in rows),
    }


def describe_more_images(rows: list[MoreImages], metric: str, level: float) -> list[str]:
    """Return a sentence for each baseline: "Against none: 80 more real angry images bring +0.6 points (…); …"."""
    sentences = []
    for against in dict.fromkeys(row.against for row in rows):
        parts = [_describe_row(row) for kind in KINDS for row in rows if row.against == against and row.kind == kind]
        sentences.append(
            f"Against {against}, in points of {metric} ({100 * level:g}% intervals, uncorrected): {'; '.join(parts)}."
        )
    return sentences


def _describe_row(row: MoreImages) -> str:
    would = "would bring" if row.kind == "learning_curve" else "bring"
    by = "" if row.kind == "learning_curve" else f" ({row.arms[0]})"
    return f"{describe_added(row)}{by} {would} {_format_interval(row)}"


def describe_added(row: MoreImages) -> str:
    """Return "80 more real images of angry", or "80 generated images of angry and 80 of happy"."""
    first, *rest = [f"{number} {{}}of {name}" for name, number in row.added.items() if number]
    text = " and ".join([first.format(f"{KINDS[row.kind]} images "), *(each.format("") for each in rest)])
    return f"{text} (estimated)" if row.kind == "learning_curve" else text


def _format_interval(row: MoreImages) -> str:
    return f"{100 * row.difference:+.1f} ({100 * row.low:+.1f} to {100 * row.high:+.1f})"


def _table_row(row: MoreImages) -> dict[str, str]:
    return {
        "images": describe_added(row),
        "arm": " and ".join(row.arms),
        "against": row.against,
        "difference": _format_interval(row),
        "seeds": count_seeds(row.seeds),
    }
