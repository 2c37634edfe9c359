"""report.html: the answer, the figures, the checks and the facts of a study, in one file that needs no other."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from fer_experiments.evaluation.scores import METRIC_TITLES
from fer_experiments.report.checks.run_checks import run_checks
from fer_experiments.report.data_facts import read_data_facts
from fer_experiments.report.findings import Findings
from fer_experiments.report.page_templates import load_template, write_html
from fer_experiments.report.section import ReportContext, Section
from fer_experiments.report.sections import (
    answer,
    calibration,
    checks,
    confusion,
    data,
    gans,
    more_images,
    results,
    run,
    sweep_curves,
    training_curves,
    verdicts,
)
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.runs.sweep_progress import SweepProgress

# In the order of the page. The first is its header, which has the navigation; a new section is one more line.
SECTIONS = (
    Section("answer", "Answer", "answer.html.j2", answer.build_values),
    Section("sweep", "Curves", "sweep_curves.html.j2", sweep_curves.build_values),
    Section("gan", "Generated images", "gans.html.j2", gans.build_values),
    Section("verdicts", "Verdicts", "verdicts.html.j2", verdicts.build_values),
    Section("more-images", "More images", "more_images.html.j2", more_images.build_values),
    Section("results", "Results", "results.html.j2", results.build_values),
    Section("checks", "Checks", "checks.html.j2", checks.build_values),
    Section("curves", "Training curves", "training_curves.html.j2", training_curves.build_values),
    Section("confusion", "Confusion", "confusion.html.j2", confusion.build_values),
    Section("reliability", "Calibration", "calibration.html.j2", calibration.build_values),
    Section("data", "Data", "data.html.j2", data.build_values),
    Section("run", "How it was run", "run.html.j2", run.build_values),
)


class RenderedSection(NamedTuple):
    """A section as HTML; anchor and title: as Section's."""

    anchor: str
    title: str
    html: Markup


def write_page(
    record: StudyRecord, findings: Findings, folder: Path, out: Path | None = None, sweeps: Sequence[SweepProgress] = ()
) -> None:
    """Write report.html.

    Args:
        record: the study.
        findings: what its predictions say.
        folder: where its files are read; what is missing there is not shown.
        out: where the page is written; None: in `folder`.
        sweeps: the progress of the sweeps that the trainings belong to.
    """
    out = out or folder
    facts, facts_problem = read_data_facts(folder / "data.json")
    outcomes = run_checks(record, findings, facts, folder)
    context = ReportContext(record, findings, facts, facts_problem, outcomes, folder, out, sweeps)
    write_html(render_page(context), out)


def render_page(context: ReportContext) -> str:
    """Render every section that has something to show into one page."""
    rendered = [_render_section(section, context) for section in SECTIONS]
    header, *sections = [section for section in rendered if section is not None]
    return load_template("page.html.j2").render(name=context.name, header=header, sections=sections)


def _render_section(section: Section, context: ReportContext) -> RenderedSection | None:
    """Render one section; None if it has nothing to show."""
    values = section.build_values(context)
    if values is None:
        return None
    html = load_template(section.template).render(
        record=context.record,
        question=context.record.question,
        metric=METRIC_TITLES[context.record.question.metric],
        **values,
    )
    return RenderedSection(section.anchor, section.title, Markup(html))
