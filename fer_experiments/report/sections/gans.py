"""What the GANs generated and how their training went: sample grids, curves, alarms, and the audits of the images."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fer_experiments.audit.record import AuditRecord
from fer_experiments.enumeration import MAX_NAMED, enumerate_names
from fer_experiments.evaluation.result import Result
from fer_experiments.report.figures.history_plot import history_plot
from fer_experiments.report.figures.pictures import Picture, draw_picture, load_picture
from fer_experiments.report.gan_files import describe_gan_folder, find_audits_of_arm, find_gan_folders, read_alarms
from fer_experiments.report.section import ReportContext, Values
from fer_experiments.report.study_record import StudyRecord

MAX_GRIDS = 12
MANY_CLASSES = 16  # as in trainer/callbacks/sample_grid.py, which needs torch
MAX_SHOWN = 5  # audits with a picture and a table of their own; the others are rows of one table
CURVES = (
    ("loss", {"gan/loss_discriminator": "discriminator", "gan/loss_generator": "generator"}),
    ("loss", {"gan/loss": "generator"}),
    (
        "discriminator's score: 1 is real",
        {"gan/score_real": "real images", "gan/score_generated": "generated images"},
    ),
)
HELD_OUT = "held-out images with which they are compared"
MEASURES = {
    "label_agreement": "assigned to their class by the reference classifier",
    "kid": "KID against held-out images",
    "fld": "FLD (0: as real images; over 1,000: copies)",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "vendi": "Vendi score, as a multiple of that of held-out images",
    "memorised_fraction": "nearer to a training image than 5% of held-out images are",
    "ct": "C_T (negative: copies, or blur)",
    "authenticity": "authenticity",
}


class AuditView(NamedTuple):
    """The audit of one class's images.

    folder: relative to the study's; measures: (name, value); encoder: in whose features images were compared, or "";
    fails, warns: how many of its checks do so; numbers: {title of a measure: value} for a row of a table.
    """

    folder: str
    label: str
    nearest: Picture | None
    measures: list[tuple[str, str]]
    encoder: str = ""
    fails: int = 0
    warns: int = 0

    @property
    def numbers(self) -> dict[str, str]:
        return dict(self.measures)


class GANView(NamedTuple):
    """One GAN, or a folder of images that an arm was given, which has audits alone.

    folder: relative to the study's; grid_count: how many grids there are in the folder; audits: of up to MAX_SHOWN
    classes, the worst first if there are more; more_audits: of the others; alarms: of its training; problem: why there
    are no curves, or ""; has_wide_grids: whether a grid has images of so many classes that it needs the page's width.
    """

    folder: str
    title: str
    grids: list[Picture]
    grid_count: int
    curves: list[Picture]
    audits: list[AuditView]
    more_audits: list[AuditView]
    alarms: list[str]
    problem: str
    has_wide_grids: bool = False


def build_values(context: ReportContext) -> Values | None:
    gans = load_gans(context.record, context.folder)
    return {"gans": gans, "measures": [HELD_OUT, *MEASURES.values()]} if gans else None


def load_gans(record: StudyRecord, folder: Path) -> list[GANView]:
    """Load the GANs of the first seed that left samples or audits of images from elsewhere, of the study in `folder`.

    They are in seed_N/gan, or in seed_N/gan/CLASS for each class; an arm that has its own has it in seed_N/ARM/gan.
    """
    for seed in record.seeds:
        results = [result for result in record.results if result.seed == seed]
        places = find_gan_folders(record.model_copy(update={"seeds": [seed], "results": results}), folder)
        gan_folders = {samples.parent: place for place in places for samples in sorted(place.glob("**/samples"))}
        arms = {record.folder_of(result, folder) / "gan": result.arm for result in results}
        gans = [
            _load_gan(gan_folder, folder, arms.get(gan_folder, ""), place) for gan_folder, place in gan_folders.items()
        ]
        gans += [view for result in results if (view := _load_external(result, record, folder))]
        if gans:
            return gans
    return []


def _load_external(result: Result, record: StudyRecord, study: Path) -> GANView | None:
    """Load the audits of the images that an arm took from a folder; None if it took none."""
    place = record.folder_of(result, study)
    audits, more_audits = _load_audits([file.parent for file in find_audits_of_arm(place)], study)
    counts = enumerate_names([f"{number} images of {label}" for label, number in result.generated.items()])
    title = f"{result.arm}: {counts}"
    return GANView(_relative(place, study), title, [], 0, [], audits, more_audits, [], "") if audits else None


def _load_gan(gan_folder: Path, study: Path, arm: str, place: Path) -> GANView:
    """Load one GAN.

    Args:
        gan_folder: of the GAN.
        study: of the study.
        arm: the arm that it was trained in; "" if arms share it.
        place: the folder of all GANs of its kind with this seed.
    """
    paths = sorted((gan_folder / "samples").glob("epoch_*.png"), key=_epoch_of)
    title, curves, problem, class_count = "", [], "", 0
    try:
        result = Result.load(gan_folder)
    except ValueError as error:
        problem = str(error).splitlines()[0]
    else:
        counts = [
            f"{name}: {number} training images, {result.generated.get(name, 0)} generated"
            for name, number in result.real.items()
        ]
        described = ", ".join(counts)
        if len(counts) > MAX_NAMED:
            real, generated = sum(result.real.values()), sum(result.generated.values())
            described = f"{len(counts)} classes: {real:,} training images, {generated:,} generated"
        title = ": ".join(filter(None, (arm or describe_gan_folder(place), described)))
        class_count = len(counts)
        curves = [
            draw_picture(history_plot([result.history], lines, x="step"), name, f"GAN: {name} by step")
            for name, lines in CURVES
            if any(key in row for row in result.history for key in lines)
        ]
    names = (AuditRecord.file_name, "nearest.png")
    audit_folders = sorted({file.parent for name in names for file in gan_folder.glob(f"**/{name}")})
    audits, more_audits = _load_audits(audit_folders, study)
    return GANView(
        folder=_relative(gan_folder, study),
        title=title,
        grids=_load_grids(paths),
        grid_count=len(paths),
        curves=curves,
        audits=audits,
        more_audits=more_audits,
        alarms=read_alarms(gan_folder),
        problem=problem,
        has_wide_grids=class_count > MANY_CLASSES,
    )


def _load_grids(paths: list[Path]) -> list[Picture]:
    """Load at most MAX_GRIDS of the sample grids: the first, the last, and some evenly between them."""
    places = np.unique(np.linspace(0, len(paths) - 1, min(len(paths), MAX_GRIDS)).round().astype(int))
    epochs = [(paths[place], f"epoch {_epoch_of(paths[place])}") for place in places]
    grids = [load_picture(path, epoch, f"Generated images after {epoch}") for path, epoch in epochs]
    return [grid for grid in grids if grid is not None]


def _load_audits(folders: list[Path], study: Path) -> tuple[list[AuditView], list[AuditView]]:
    """Load the audits in their order; if there are more than MAX_SHOWN, the worst of them, and the others apart."""
    audits = [_load_audit(audit_folder, study) for audit_folder in folders]
    if len(audits) <= MAX_SHOWN:
        return audits, []
    ordered = sorted(audits, key=lambda audit: (-audit.fails, -audit.warns))
    return ordered[:MAX_SHOWN], ordered[MAX_SHOWN:]


def _load_audit(audit_folder: Path, study: Path) -> AuditView:
    alt = "Generated images, each above the training image that is nearest to it"
    nearest = load_picture(audit_folder / "nearest.png", "", alt)
    audit = AuditRecord.load_or_none(audit_folder)
    if audit is None:
        return AuditView(_relative(audit_folder, study), "", nearest, [])
    statuses = [finding.status for finding in audit.checks.values()]
    values = ((text, audit.headline.get(name)) for name, text in MEASURES.items())
    measures = [(text, f"{value:.3g}") for text, value in values if value is not None]
    if measures and audit.held_out is not None:
        measures.insert(0, (HELD_OUT, str(audit.held_out)))
    return AuditView(
        folder=_relative(audit_folder, study),
        label=audit.label,
        nearest=nearest,
        measures=measures,
        encoder=audit.encoder,
        fails=statuses.count("fail"),
        warns=statuses.count("warn"),
    )


def _relative(place: Path, folder: Path) -> str:
    return (place.relative_to(folder) if place.is_relative_to(folder) else place).as_posix()


def _epoch_of(path: Path) -> int:
    return int("".join(re.findall(r"\d", path.stem)) or 0)
