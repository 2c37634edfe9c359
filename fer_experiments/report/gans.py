"""What the page shows of the GANs: grids of samples, curves, and generated images beside their nearest real ones."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fer_experiments.evaluation.result import Result
from fer_experiments.report import figures
from fer_experiments.report.pictures import Picture, drawn, jpeg
from fer_experiments.report.study import StudyRecord

GRIDS_SHOWN = 12
LOSS = {"gan/loss_discriminator": "discriminator", "gan/loss_generator": "generator"}
NUMBERS = {
    "label_agreement": "called by its class by the judge",
    "kid": "KID against held-out images",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "memorised_fraction": "nearer to a training image than 5 % of held-out ones",
    "ct": "C_T (negative: copies, or blur)",
    "authenticity": "authenticity",
}
SCORE = {"gan/score_real": "real images", "gan/score_generated": "generated images"}


class Audited(NamedTuple):
    """What the page shows of the audit of one class's images. folder: relative to the page's."""

    folder: str
    label: str
    nearest: Picture | None
    numbers: list[tuple[str, str]]


class Gan(NamedTuple):
    """What the page shows of one GAN. folder: relative to the page's; alarms: of its training, as health.json has them;
    problem: why there are no curves, or "".
    """

    folder: str
    title: str
    grids: list[Picture]
    grids_found: int
    curves: list[Picture]
    audits: list[Audited]
    alarms: list[str]
    problem: str


def gan_folders(record: StudyRecord, folder: Path) -> list[Path]:
    """Where the GANs of the results can lie, seed by seed: beside the arms that share them, or in a lone training."""
    places = [record.folder_of(result, folder) for result in record.results]
    own = [folder / f"seed_{seed}" / "gan" for seed in record.seeds]
    beside = [gan for place in places for gan in (place.parent / "gan", place / "gan")]
    return [gan for gan in dict.fromkeys([*own, *beside]) if gan.is_dir()]


def gans(record: StudyRecord, folder: Path) -> list[Gan]:
    """The GANs of the first seed that left pictures: seed_N/gan, or one in seed_N/gan/CLASS for each class, and those
    in the arms that have one of their own, seed_N/ARM/gan.
    """
    for seed in record.seeds:
        results = [result for result in record.results if result.seed == seed]
        places = gan_folders(record.model_copy(update={"seeds": [seed], "results": results}), folder)
        found = [path.parent for place in places for path in sorted(place.glob("**/samples"))]
        arms = {record.folder_of(result, folder) / "gan": result.arm for result in results}
        if found:
            return [_gan(here, folder, arms.get(here, "")) for here in found]
    return []


def _gan(here: Path, folder: Path, arm: str) -> Gan:
    """Grids, no more than GRIDS_SHOWN of them, evenly chosen with the first and the last; losses and scores.

    arm: that it was trained in, "" where arms share it.
    """
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
        title = f"{arm}: {title}" if arm else title
        for what, lines in (("loss", LOSS), ("discriminator's score: 1 is real", SCORE)):
            figure = figures.curves([result.history], lines, x="step")
            curves.append(drawn(what, f"GAN: {what} by step", figure))
    audited = sorted({file.parent for name in ("audit.json", "nearest.png") for file in here.glob(f"**/{name}")})
    audits = [_audited(place, folder) for place in audited]
    return Gan(_relative(here, folder), title, grids, len(paths), curves, audits, alarms_of(here), problem)


def _audited(here: Path, folder: Path) -> Audited:
    nearest = jpeg(here / "nearest.png", "", "Generated images, each above the training image that is nearest to it")
    audit = _read(here / "audit.json")
    numbers = [(said, f"{audit[name]:.3g}") for name, said in NUMBERS.items() if isinstance(audit.get(name), float)]
    return Audited(_relative(here, folder), str(audit.get("class", "")), nearest, numbers)


def alarms_of(here: Path) -> list[str]:
    """ "too few steps: 60 batches, and ...", of health.json; none where there is no such file."""
    alarms = _read(here / "health.json").get("alarms", [])
    known = alarms if isinstance(alarms, list) else []
    return [f"{one.get('name')}: {one.get('message')}" for one in known if isinstance(one, dict)]


def _read(path: Path) -> dict[str, Any]:
    """What a JSON file says, or nothing where it can't be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _relative(here: Path, folder: Path) -> str:
    return (here.relative_to(folder) if here.is_relative_to(folder) else here).as_posix()


def _epoch(path: Path) -> int:
    return int("".join(re.findall(r"\d", path.stem)) or 0)


def _grid(path: Path) -> Picture | None:
    epoch = f"epoch {_epoch(path)}"
    return jpeg(path, epoch, f"Generated images after {epoch}")
