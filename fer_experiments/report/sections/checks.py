"""Whether the answer can be believed: the outcome of every check."""

from fer_experiments.report.section import ReportContext, Values


def build_values(context: ReportContext) -> Values | None:
    return {"checks": context.checks} if context.checks else None
