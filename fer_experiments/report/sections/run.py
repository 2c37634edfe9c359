"""How the study was run: duration, devices, seeds, splits, versions and configuration."""

from fer_experiments.report.section import ReportContext, Values
from fer_experiments.runs.status import format_duration


def build_values(context: ReportContext) -> Values:
    record = context.record
    config = context.folder / "config.yaml"
    return {
        "duration": format_duration(record.seconds),
        "devices": sorted({f"{result.device}, {result.precision}" for result in record.results}),
        "splits": {result.seed: result.split_hash for result in record.results},
        "config": config.read_text(encoding="utf-8", errors="replace") if config.is_file() else "",
    }
