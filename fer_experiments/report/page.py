"""report.html: the answer, the table, the figures and the facts of a study, in one file that needs no other."""

import base64
import io
import json
import re
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from PIL import Image

from fer_experiments.evaluation.result import Result
from fer_experiments.report import figures
from fer_experiments.report.answer import generated_arms, headline, percent, scores
from fer_experiments.report.study import StudyRecord, summary

FILE = "report.html"
GRIDS_SHOWN = 12
ACCURACY = {"train/accuracy": "training", "valid/accuracy": "validation"}
LOSS = {"train/loss": "training", "valid/loss": "validation"}
GAN_LOSS = {"gan/loss_discriminator": "discriminator", "gan/loss_generator": "generator"}
GAN_SCORE = {"gan/score_real": "real images", "gan/score_generated": "generated images"}


class Picture(NamedTuple):
    """An image of the page; uri is a data URI."""

    caption: str
    alt: str
    uri: str


class Gan(NamedTuple):
    """What the page shows of one GAN. folder: relative to the page's; problem: why there are no curves, or ""."""

    folder: str
    title: str
    grids: list[Picture]
    grids_found: int
    curves: list[Picture]
    problem: str


def write_page(record: StudyRecord, folder: Path) -> None:
    """Write folder/report.html from the record and what lies beside it; where a file is missing, so is its section."""
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
        name=f"{folder.resolve().parent.name}/{folder.resolve().name}",
        record=record,
        headline=headline(record),
        cautions=cautions(record, facts),
        unfinished=unfinished(record),
        dots=dots(record) if record.results else None,
        table=summary(record),
        curves=arm_curves(record),
        confusions=confusions(record),
        class_count=max((len(result.classes) for result in record.results), default=0),
        gans=gans(record, folder),
        facts=facts,
        facts_problem=problem,
        findings=findings(facts),
        config=config.read_text(encoding="utf-8", errors="replace") if config.is_file() else "",
        duration=duration(record.seconds),
        devices=sorted({f"{result.device}, {result.precision}" for result in record.results}),
        splits={result.seed: result.split_hash for result in record.results},
    )
    # A class can be named by bytes that are no text; such a name can't be written as it is.
    (folder / FILE).write_bytes(page.encode("utf-8", "replace"))


# ---- what a reader must know before believing it


def cautions(record: StudyRecord, facts: dict[str, Any]) -> list[str]:
    """What makes the comparison weaker than it looks."""
    found = []
    if missing := unfinished(record):
        found.append(
            f"{len(missing)} of {len(record.arms) * len(record.seeds)} trainings did not finish; they are listed below."
        )
    steps = sorted({result.optimizer_steps for result in record.results})
    if len(steps) > 1:
        found.append(f"The arms were not trained equally long: between {steps[0]} and {steps[-1]} optimizer steps.")
    for seed in record.seeds:
        if len({result.split_hash for result in record.results if result.seed == seed}) > 1:
            found.append(f"The arms of seed {seed} saw different splits and can't be compared.")
    there = sum(facts.get("images", {}).get("test", {}).values())
    used = min((result.metrics["test"]["images"] for result in record.results), default=there)
    if used < there:
        found.append(
            f"Only {used} of the {there} test images were looked at (trainer.limit_batches): the numbers mean little."
        )
    return found


def unfinished(record: StudyRecord) -> list[tuple[str, str]]:
    """(seed and arm, why) of every training without a result: what failed, then what has not run."""
    finished = {(result.seed, result.arm) for result in record.results}
    expected = [(seed, arm) for seed in record.seeds for arm in record.arms if (seed, arm) not in finished]
    open_ones = [f"seed {seed}, {arm}" for seed, arm in expected]
    return [*record.failed.items(), *((where, "not run yet") for where in open_ones if where not in record.failed)]


# ---- figures


def dots(record: StudyRecord) -> Picture:
    """A dot for each seed of each arm, and the mean."""
    values = {arm: list(scores(record, arm).values()) for arm in record.arms}
    said = ", ".join(f"{arm} {percent(fmean(found))}" for arm, found in values.items() if found)
    figure = figures.dot_plot(values, generated_arms(record), "balanced accuracy on test")
    return Picture("", f"Mean balanced accuracy on test: {said}", svg(figure))


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
            pictures.append(Picture(what, f"{arm}: {what} in training and validation by epoch", svg(figure)))
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
            pictures.append(Picture(arm, f"{arm}: rows of the confusion matrix {counts}", svg(figure)))
    return pictures


def gans(record: StudyRecord, folder: Path) -> list[Gan]:
    """The GANs of the first seed that left pictures: seed_N/gan, or one in seed_N/gan/CLASS for each class."""
    for seed in record.seeds:
        found = sorted(path.parent for path in (folder / f"seed_{seed}" / "gan").glob("**/samples"))
        if found:
            return [_gan(here, folder) for here in found]
    return []


def _gan(here: Path, folder: Path) -> Gan:
    """Grids, no more than GRIDS_SHOWN of them, evenly chosen with the first and the last; losses and scores."""
    paths = sorted((here / "samples").glob("epoch_*.png"), key=_epoch)
    places = np.unique(np.linspace(0, len(paths) - 1, min(len(paths), GRIDS_SHOWN)).round().astype(int))
    grids = [picture for place in places if (picture := _grid(paths[place])) is not None]
    title, curves, problem = "", [], ""
    try:
        result = Result.load(here)
    except ValueError as error:
        problem = str(error).splitlines()[0]
    else:
        title = ", ".join(f"{name}: {number} training images, {result.generated.get(name, 0)} generated"
                          for name, number in result.real.items())  # fmt: skip
        for what, lines in (("loss", GAN_LOSS), ("discriminator's score: 1 is real", GAN_SCORE)):
            figure = figures.curves([result.history], lines, x="step")
            curves.append(Picture(what, f"GAN: {what} by step", svg(figure)))
    return Gan(here.relative_to(folder).as_posix(), title, grids, len(paths), curves, problem)


def _epoch(path: Path) -> int:
    return int("".join(re.findall(r"\d", path.stem)) or 0)


def _grid(path: Path) -> Picture | None:
    """A grid of samples as JPEG, a fifth of its PNG, or None where the file can't be read (a run was cut short)."""
    buffer = io.BytesIO()
    try:
        with Image.open(path) as image:
            image.convert("RGB").save(buffer, "JPEG", quality=90, subsampling=0)
    except OSError:
        return None
    epoch = f"epoch {_epoch(path)}"
    return Picture(epoch, f"Generated images after {epoch}", data_uri(buffer.getvalue(), "image/jpeg"))


def svg(figure: Figure) -> str:
    return data_uri(figures.svg(figure), "image/svg+xml")


def data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


# ---- facts of the data


def read_facts(path: Path) -> tuple[dict[str, Any], str]:
    """data.json and "", or {} and why it could not be read."""
    try:
        return json.loads(path.read_bytes()), ""
    except FileNotFoundError:
        return {}, f"there is no {path.name} in this folder"
    except (OSError, ValueError) as error:
        return {}, f"{path.name} can't be read: {error}"


def findings(facts: dict[str, Any]) -> list[tuple[str, str]]:
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


def duration(seconds: float) -> str:
    """ "40 s", "12 min 5 s", "3 h 2 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
