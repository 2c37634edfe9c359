"""The points of a map: what finished studies say of each arm with generated images, and of the ceiling."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from fer_experiments.enumeration import MAX_NAMED
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.comparison import Verdict
from fer_experiments.evaluation.question import Question
from fer_experiments.job_kinds import Trains
from fer_experiments.report.findings import SavedVerdicts
from fer_experiments.report.run_scan import RunScan, scan_runs
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.runs.run_config import RunConfig
from fer_experiments.runs.status import Status, job_state
from fer_experiments.runs.sweep_progress import find_sweeps


@dataclass(frozen=True)
class MapPoint:
    """An arm of a study with generated images, or the ceiling, which has more real ones.

    Attributes:
        data_set: its name and classes, "FER2013: angry, happy".
        smallest_class, training_images: the class with the fewest training images, and how many these are.
        arm: its name without the augmentation.
        seeds, test_images: how many were compared.
        best_simple_arm: that with which the verdict compares.
        difference: from that arm, in points (0.01 of the metric).
        low, high: the interval of the difference; None for the ceiling, which is a difference of means.
        verdict: None for the ceiling.
        study: its folder.
    """

    data_set: str
    smallest_class: str
    training_images: int
    augmentation: str
    arm: str
    kind: Literal["generated", "ceiling"]
    seeds: int
    test_images: int
    best_simple_arm: str
    difference: float
    low: float | None
    high: float | None
    verdict: Verdict | None
    study: str


@dataclass(frozen=True)
class FinishedStudy:
    """A study that trains no further seed, with what it says. config: of the job that trained it."""

    folder: Path
    record: StudyRecord
    verdicts: SavedVerdicts
    config: RunConfig


def read_points(folders: Sequence[Path]) -> tuple[list[MapPoint], Question, list[str]]:
    """Return the points of all finished studies, their question, and sentences on all that could not be used.

    The points are sorted by data set (in the order of the folders), augmentation and size.

    Raises ValueError if no finished study has generated images, or if studies differ in their metric or margin.
    """
    scan = scan_runs(folders)
    problems = [*_explain_unfinished_jobs(scan), *_explain_waiting_jobs(folders)]
    problems += [
        f"{folder}: there is no study in this folder"
        for folder in folders
        if not any(place.is_relative_to(folder.resolve()) for place in [*scan.studies, *scan.configs])
    ]
    studies = []
    for place, record in scan.studies.items():
        try:
            studies.append(_load_study(place, record, scan.configs.get(place)))
        except ValueError as error:
            problems.append(str(error))
    points = []
    for study in studies:
        problems += [f"{study.folder}: {training}: {error}" for training, error in study.record.failed.items()]
        points_of_study = list(list_points(study))
        points += points_of_study
        if not points_of_study:
            problems.append(f"{study.folder}: no arm with generated images is compared with a simple one")
    problems += scan.problems
    if not points:
        raise ValueError("\n  ".join(["there is no finished study with generated images", *problems]))
    data_sets = list(dict.fromkeys(point.data_set for point in points))
    points.sort(key=lambda point: (data_sets.index(point.data_set), point.augmentation, point.training_images))
    return points, _read_question(studies), [*problems, *_explain_repeated_settings(points)]


def _explain_unfinished_jobs(scan: RunScan) -> Iterator[str]:
    """Give a sentence on each job that left no study."""
    for place, config in scan.configs.items():
        if place in scan.studies:
            continue
        if config.kind.trains is not Trains.EVERY_ARM:
            yield f"{place}: is a run of train={config.kind.name}, which is no study"
            continue
        status = Status.find(place)
        state = "" if status is None else f": {job_state(place, status)} {status.error}".rstrip()
        yield f"{place}: has no finished seed{state}"


def _explain_waiting_jobs(folders: Sequence[Path]) -> Iterator[str]:
    for sweep in find_sweeps(folders):
        if sweep.waiting:
            yield f"{sweep.folder}: {sweep.describe()}"


def _load_study(folder: Path, record: StudyRecord, config: RunConfig | None) -> FinishedStudy:
    """Raises ValueError, which names the folder, if the study is unfinished or its verdicts can't be read."""
    unfinished = [training for training, _ in record.unfinished_trainings() if training not in record.failed]
    if unfinished or (record.growth is not None and record.growth.stop is None):
        seeds = len({result.seed for result in record.results})
        raise ValueError(f"{folder}: is left out, because the study is unfinished, with {seeds} seeds so far")
    if config is None:
        raise ValueError(f"{folder}: is left out, because without its folder .hydra its data set is not known")
    return FinishedStudy(folder, record, SavedVerdicts.load(folder), config)


def list_points(study: FinishedStudy) -> Iterator[MapPoint]:
    """Give a point for each arm with generated images that is compared with a simple arm, then for each ceiling."""
    best_simple_arms: dict[str, str] = {}  # by augmentation
    for verdict in study.verdicts.arms:
        if not verdict.generated or not verdict.pairs:
            continue
        pair = verdict.pairs[0]
        best_simple_arms.setdefault(ArmName.parse(verdict.arm).augment, pair.against)
        comparison = pair.comparison
        yield replace(
            _describe_arm(study, verdict.arm, pair.against, comparison.difference),
            seeds=comparison.seeds,
            low=100 * comparison.low,
            high=100 * comparison.high,
            verdict=verdict.verdict,
        )
    for arm in study.record.arms:
        rival = best_simple_arms.get(ArmName.parse(arm).augment)
        if rival is None or not any(result.added_real for result in study.record.results_of(arm)):
            continue
        scores, scores_of_rival = study.record.scores(arm), study.record.scores(rival)
        if common := scores.keys() & scores_of_rival.keys():
            difference = sum(scores[seed] - scores_of_rival[seed] for seed in common) / len(common)
            yield replace(_describe_arm(study, arm, rival, difference), kind="ceiling", seeds=len(common))


def _describe_arm(study: FinishedStudy, arm: str, best_simple_arm: str, difference: float) -> MapPoint:
    """Return the point of an arm without interval and verdict. difference: a share of 1."""
    results = study.record.results_of(arm)
    images = results[0].real
    smallest_class = min(images, key=lambda label: images[label])
    return MapPoint(
        data_set=name_data_set(study.config.config["data"], results[0].classes),
        smallest_class=smallest_class,
        training_images=images[smallest_class],
        augmentation=ArmName.parse(arm).augment or "none",
        arm=_name_without_augment(arm),
        kind="generated",
        seeds=len(results),
        test_images=study.verdicts.images,
        best_simple_arm=_name_without_augment(best_simple_arm),
        difference=100 * difference,
        low=None,
        high=None,
        verdict=None,
        study=str(study.folder),
    )


def _name_without_augment(arm: str) -> str:
    return str(replace(ArmName.parse(arm), augment=""))


def name_data_set(data: Mapping[str, Any], classes: Sequence[str]) -> str:
    """Return "FER2013: angry, happy", "CIFAR10: 10 classes" or, of a folder of images, "holidays: cat, dog".

    data: the configuration's group data.
    """
    source = str(data["_target_"]).rpartition(".")[2]
    if data.get("name"):
        name = Path(str(data["name"])).name
    elif place := data.get("file") or data.get("table") or (source == "Folder" and data.get("root")):
        name = Path(str(place)).resolve().stem
    else:
        name = re.sub(r"(?<=[a-z])[A-Z]", lambda match: f" {match[0].lower()}", source)  # DrawnFaces
    return f"{name}: {', '.join(classes) if len(classes) <= MAX_NAMED else f'{len(classes)} classes'}"


def _read_question(studies: Sequence[FinishedStudy]) -> Question:
    """Return the question of all studies. Raises ValueError if they differ in the metric or the margin."""
    first, *later = studies
    for study in later:
        for key in ("metric", "margin"):
            values = [getattr(each.record.question, key) for each in (first, study)]
            if values[0] != values[1]:
                raise ValueError(
                    f"{first.folder} has train.{key}={values[0]} and {study.folder} has train.{key}={values[1]}: "
                    "studies of one map ask the same question; make a map of each"
                )
    return first.record.question


def _explain_repeated_settings(points: Sequence[MapPoint]) -> Iterator[str]:
    settings = Counter(
        (point.data_set, point.smallest_class, point.training_images, point.augmentation, point.arm) for point in points
    )
    for (data_set, label, images, augmentation, arm), count in settings.items():
        if count > 1:
            yield (
                f"{count} studies have {arm} on {data_set} with {images} images of {label} and augmentation "
                f"{augmentation}: each is a point of its own"
            )
