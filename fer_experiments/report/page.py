"""report.html: the answer, the figures, the checks and the facts of a study, in one file that needs no other."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import BaseModel, model_validator

from fer_experiments.evaluation.arms import ArmName
from fer_experiments.evaluation.verdict import Paired
from fer_experiments.report import figures, swept
from fer_experiments.report.answer import explain_leak, generated_arms, headline, in_a_word, percent, scores
from fer_experiments.report.calibration import reliabilities
from fer_experiments.report.checks import run_checks, unfinished
from fer_experiments.report.gans import gans
from fer_experiments.report.pictures import Picture, drawn, jpeg
from fer_experiments.report.status import duration
from fer_experiments.report.study import StudyRecord, summary
from fer_experiments.report.sweeps import Progress
from fer_experiments.report.verdicts import Findings, comparisons, generated_first
from fer_experiments.whole import whole

FILE = "report.html"
ACCURACY = {"train/accuracy": "training", "valid/accuracy": "validation"}
LOSS = {"train/loss": "training", "valid/loss": "validation"}


def write_page(
    record: StudyRecord, findings: Findings, folder: Path, out: Path | None = None, sweeps: Sequence[Progress] = ()
) -> None:
    """Write out/report.html, or folder/, from the record and what lies in folder; a missing file has no section."""
    facts, problem = read_facts(folder / "data.json")
    config = folder / "config.yaml"
    environment = Environment(
        loader=PackageLoader("fer_experiments", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html.j2").render(
        name="/".join((out or folder).resolve().parts[-2:]),
        record=record,
        question=record.question,
        headline=headline(record, findings),
        others=in_a_word(findings),
        verdicts=generated_first(findings.arms),
        questions=len(findings.best),
        estimates=findings.estimates,
        leaks=[explain_leak(effect, record.question) for effect in findings.leaks],
        checks=run_checks(record, findings, facts, folder),
        unfinished=unfinished(record),
        sweeps=sweeps,
        dots=dots(record, findings) if record.results else None,
        differences=differences(record, findings),
        swept=swept.pictures(record, findings),
        comparisons=comparisons(findings),
        table=summary(record),
        curves=arm_curves(record),
        confusions=confusions(record),
        reliabilities=reliabilities(record, folder),
        class_count=max((len(result.classes) for result in record.results), default=0),
        gans=gans(record, folder),
        near_duplicates=jpeg(folder / "near_duplicates.png", "", "Pairs of alike images that lie in different parts"),
        facts=facts,
        facts_problem=problem,
        found=describe_facts(facts),
        config=config.read_text(encoding="utf-8", errors="replace") if config.is_file() else "",
        duration=duration(record.seconds),
        devices=sorted({f"{result.device}, {result.precision}" for result in record.results}),
        splits={result.seed: result.split_hash for result in record.results},
    )
    # A class can be named by bytes that are no text; such a name can't be written as it is.
    with whole((out or folder) / FILE) as temporary:
        temporary.write_bytes(page.encode("utf-8", "replace"))


# ---- figures


def dots(record: StudyRecord, findings: Findings) -> Picture:
    """The study's metric: a dot for each seed of each arm, the mean, and its interval."""
    metric = record.question.metric.replace("_", " ")
    values = {arm: list(scores(record, arm).values()) for arm in record.arms}
    said = ", ".join(f"{arm} {percent(fmean(found))}" for arm, found in values.items() if found)
    intervals = {arm: (found.low, found.high) for arm, found in findings.estimates.items()}
    figure = figures.dot_plot(values, generated_arms(record), f"{metric} on test", intervals)
    return drawn("", f"Mean {metric} on test: {said}", figure)


def differences(record: StudyRecord, findings: Findings) -> Picture | None:
    """Every comparison that was made, with its interval."""
    rows = {
        _pair_name(pair): (
            100 * pair.comparison.difference,
            100 * pair.comparison.low,
            100 * pair.comparison.high,
            said.verdict if number == 0 else f"({pair.comparison.verdict})",
        )
        for said in generated_first(findings.arms)
        for number, pair in enumerate(said.pairs)
    }
    if not rows:
        return None
    metric = record.question.metric.replace("_", " ")
    figure = figures.difference_plot(rows, 100 * record.question.margin, f"difference in {metric}, points")
    shown = ", ".join(f"{name} {mean:+.1f} ({low:+.1f} to {high:+.1f})" for name, (mean, low, high, _) in rows.items())
    return drawn("", f"Paired differences in points: {shown}", figure)


def _pair_name(pair: Paired) -> str:
    """ "dcgan − none [data.imbalance=10]": settings that both have are said once."""
    arm, against = ArmName.parse(pair.arm), ArmName.parse(pair.against)
    left = against.without({key for key, value in against.values.items() if arm.values.get(key) == value})
    settings = f" [{arm.settings}]" if arm.settings else ""
    return f"{replace(arm, settings='')} − {left}{settings}"


def arm_curves(record: StudyRecord) -> list[tuple[str, list[Picture]]]:
    """(arm, [accuracy, loss]) by epoch; all arms have the same axes, so that they can be compared by eye."""
    histories = {arm: [result.history for result in record.of_arm(arm)] for arm in record.arms}
    everything = [history for found in histories.values() for history in found]
    shown = []
    for arm, found in histories.items():
        if not any(found):
            continue
        marked = [result.selected_epoch for result in record.of_arm(arm) if result.selected_epoch is not None]
        pictures = []
        for what, lines in (("accuracy", ACCURACY), ("loss", LOSS)):
            ylim = figures.limits(everything, list(lines))
            figure = figures.curves(found, lines, ylim=ylim, percent=what == "accuracy", marked=marked)
            pictures.append(drawn(what, f"{arm}: {what} in training and validation by epoch", figure))
        shown.append((arm, pictures))
    return shown


def confusions(record: StudyRecord) -> list[Picture]:
    """One matrix an arm, on test, summed over its seeds."""
    pictures = []
    for arm in record.arms:
        results = record.of_arm(arm)
        if results:
            counts = np.sum([result.metrics["test"]["confusion"] for result in results], axis=0).tolist()
            figure = figures.confusion_matrix(counts, results[0].classes)
            pictures.append(drawn(arm, f"{arm}: rows of the confusion matrix {counts}", figure))
    return pictures


# ---- facts of the data


class Facts(BaseModel):
    """What the page and the checks use of data.json, which may lack any of it."""

    classes: list[str] = []
    images: dict[str, dict[str, int]] = {}
    corrupt: list[dict[str, str]] = []
    dropped_as_duplicates_of_a_more_protected_part: dict[str, int] = {}
    near_duplicates: dict[str, int] | None = None

    @model_validator(mode="after")
    def _near_duplicates_are_counted(self) -> "Facts":
        if self.near_duplicates is not None and not self.near_duplicates.keys() >= {"pairs", "test_images"}:
            raise ValueError("near_duplicates: has no pairs or no test_images")
        return self


def read_facts(path: Path) -> tuple[dict[str, Any], str]:
    """data.json and "", or {} and why it could not be read."""
    try:
        facts = json.loads(path.read_bytes())
        Facts.model_validate(facts)
        return facts, ""
    except FileNotFoundError:
        return {}, f"there is no {path.name} in this folder"
    except (OSError, ValueError) as error:
        return {}, f"{path.name} can't be read: {error}"


def describe_facts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """(what, how many) for what data.json says of the source; what it lacks is left out."""
    dropped = facts.get("dropped_as_duplicates_of_a_more_protected_part", {})
    corrupt = facts.get("corrupt")
    rows = {
        "image files found": facts.get("files"),
        "files that can't be read": None if corrupt is None else len(corrupt),
        "groups of pixel-identical images": facts.get("duplicate_groups"),
        "files in such groups": facts.get("duplicate_files"),
        "groups that lie in several parts of the source": facts.get("cross_split_groups"),
        "groups whose images have different classes": facts.get("label_conflict_groups"),
        **{f"{part} images dropped because a later part holds the same": number for part, number in dropped.items()},
    }
    return [(what, str(number)) for what, number in rows.items() if number is not None]
