"""One record from any finished runs: studies, sweeps, single trainings, and what is left of those that broke."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from fer_experiments.evaluation.arms import ArmName
from fer_experiments.evaluation.result import FILE as RESULT
from fer_experiments.evaluation.result import Result
from fer_experiments.report.jobs import HYDRA, JobFolder, job_of, read_job
from fer_experiments.report.status import Status, state_of
from fer_experiments.report.study import FILE as STUDY
from fer_experiments.report.study import StudyRecord, training

T = TypeVar("T")
PASSED_OVER = ("synthetic", "samples", "checkpoints")  # many files, none of them a result


class NothingFinished(ValueError):
    """There is no result of a classifier to report."""


@dataclass(frozen=True)
class Training:
    """One training that is there, or was expected (result None; reason: why it is missing, "" where unknown).

    job: the job that made it, None where its configuration is not known; written: when, seconds since 1970.
    """

    arm: str
    seed: int
    job: JobFolder | None
    folder: Path
    result: Result | None = None
    reason: str = ""
    written: float = 0.0


@dataclass
class Found:
    """What lies below some folders. problems: sentences on what could not be read."""

    studies: dict[Path, StudyRecord] = field(default_factory=dict)
    results: dict[Path, Result] = field(default_factory=dict)
    jobs: dict[Path, JobFolder] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def job(self, folder: Path) -> JobFolder | None:
        place = job_of(folder)
        if place is not None and place not in self.jobs:
            self.read_job(place)
        return None if place is None else self.jobs.get(place)

    def read_job(self, folder: Path) -> None:
        try:
            self.jobs[folder] = read_job(folder)
        except ValueError as error:
            self.add_problem(error)

    def add_problem(self, said: object) -> None:
        sentence = " ".join(str(said).split())
        if sentence not in self.problems:
            self.problems.append(sentence)


def collect(folders: Sequence[Path]) -> StudyRecord:
    """The classifiers in or below `folders`, as one study; its `folders` are absolute.

    Runs of an arm that were given other settings become arms of their own, "dcgan [gan.epochs=100]". Of two results
    with the same settings the newer counts. What was expected but is missing stays expected, and all that can't be used
    is named in `problems`. Raises ValueError where a folder is none, NothingFinished where none has a classifier.
    """
    found = _look(folders)
    of_studies, others = _of_studies(found), _alone(found)
    if not of_studies and not others:
        raise NothingFinished(
            "; ".join([f"no classifier was trained in {', '.join(map(str, folders))}", *found.problems])
        )
    named = _named([*of_studies, *others], found)
    seeds = _once(one.seed for _, one in named)
    if len(found.studies) == 1 and not any(one.result for one in others):
        record = next(iter(found.studies.values())).model_copy(deep=True)
    else:
        seeds = sorted(seeds)
        record = _joined(list(found.studies.values()), [one.result for _, one in named if one.result])
    record.arms, record.seeds = _once(arm for arm, _ in named), seeds
    record.results, record.failed, record.folders = [], {}, {}
    for seed in record.seeds:
        for arm in record.arms:
            _settle(record, arm, seed, [one for name, one in named if (name, one.seed) == (arm, seed)], found)
    record.problems += found.problems
    return record


def _joined(studies: Sequence[StudyRecord], results: Sequence[Result]) -> StudyRecord:
    """An empty record of several sources: what is asked is the first study's question."""
    record = studies[0].model_copy(deep=True) if studies else StudyRecord(arms=[], seeds=[])
    record.work, record.overhead = {}, None
    record.seconds = sum(result.seconds for result in results)
    record.versions = results[0].versions if results else record.versions
    record.problems = _once(problem for study in studies for problem in study.problems)
    return record


# ---- what lies there


def _look(folders: Sequence[Path]) -> Found:
    found = Found()
    for place in _once(path for folder in folders for path in _below(folder)):
        if (place / STUDY).is_file():
            try:
                found.studies[place] = StudyRecord.load(place)
            except ValueError as error:
                found.add_problem(error)
        if (place / RESULT).is_file():
            try:
                found.results[place] = Result.load(place)
            except ValueError as error:
                found.add_problem(error)
        if (place / HYDRA).is_dir():
            found.read_job(place)
    return found


def _below(folder: Path) -> Iterable[Path]:
    """The folder and all below it, absolute, in the order of a reader: 2 before 10. Raises ValueError for no folder."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: is no folder")
    for place, names, _ in os.walk(folder.resolve()):
        names[:] = sorted((name for name in names if name not in PASSED_OVER), key=_by_number)
        yield Path(place)


def _by_number(name: str) -> list[tuple[int, str]]:
    return [(int(digits or 0), text) for digits, text in re.findall(r"(\d*)(\D*)", name)]


def _of_studies(found: Found) -> list[Training]:
    """Every arm and seed that the studies name; their own folders' results are taken out of found.results."""
    trainings = []
    for place, study in found.studies.items():
        job = found.jobs.get(place)
        listed = {(result.seed, result.arm): result for result in study.results}
        for seed, arm in ((seed, arm) for seed in study.seeds for arm in study.arms):
            result = listed.get((seed, arm))
            if result is None:
                reason = study.failed.get(training(seed, arm), "")
                trainings.append(Training(arm, seed, job, place, reason=reason))
                continue
            folder = study.folder_of(result, place).resolve()
            there = found.results.pop(folder, None)
            if there is None:
                found.add_problem(
                    f"{training(seed, arm)}: no result can be read in {folder}; its numbers are those of "
                    f"{place / STUDY}, its predictions and files may be missing"
                )
            written = (place / STUDY if there is None else folder / RESULT).stat().st_mtime
            trainings.append(Training(arm, seed, job, folder, there or result, written=written))
    return trainings


def _alone(found: Found) -> list[Training]:
    """The results that no study lists, and what jobs without a result should have trained."""
    inside = dict(found.jobs)  # found.job() adds what lies above the folders that were asked for
    trainings = [
        Training(result.arm, result.seed, found.job(folder), folder, result, written=(folder / RESULT).stat().st_mtime)
        for folder, result in found.results.items()
        if result.job == "cnn"
    ]
    for folder, job in inside.items():
        if folder in found.studies or folder in found.results or not (expected := job.expected()):
            continue
        reason = _why_without(folder, STUDY if job.choices["train"] == "study" else RESULT, found)
        trainings += [Training(arm, seed, job, folder, reason=reason) for seed, arm in expected]
    return trainings


def _why_without(folder: Path, file: str, found: Found) -> str:
    """What became of a job that left no such file."""
    try:
        status = Status.load(folder)
    except ValueError as error:
        found.add_problem(error)
        status = None
    state = "done" if status is None else state_of(folder, status)
    if status is None or state == "done":
        return f"{folder} left no {file} that can be read"
    return status.error if state == "failed" else f"{state}, {status.who}: {folder}"


# ---- which of them are the same


def _named(trainings: Sequence[Training], found: Found) -> list[tuple[str, Training]]:
    """Each training with the name of its arm, which tells the settings that not all trainings of the arm share."""
    keys = {arm: _telling_keys([one for one in trainings if one.arm == arm]) for arm in {one.arm for one in trainings}}
    named = [(_name(one, keys[one.arm]), one) for one in trainings]
    classes: dict[str, list[str]] = {}
    kept = []
    for arm, one in named:
        if one.result and classes.setdefault(arm, one.result.classes) != one.result.classes:
            found.add_problem(
                f"{one.folder}: was trained on {', '.join(one.result.classes)}, another {arm} on "
                f"{', '.join(classes[arm])}; it is left out"
            )
        else:
            kept.append((arm, one))
    return kept


def _telling_keys(trainings: Sequence[Training]) -> list[str]:
    """The settings of one arm's trainings that differ and can matter to it."""
    results = [one.result for one in trainings if one.result]
    generated = not results or any(sum(result.generated.values()) for result in results)
    resampled = generated or any(sum(result.repeated.values()) for result in results)
    of_no_matter = (() if generated else ("gan.",)) + (() if resampled else ("balance.",))
    keys = _once(key for one in trainings if one.job for key in one.job.keys if not key.startswith(of_no_matter))
    return [key for key in keys if len({_value(one, key) for one in trainings}) > 1]


def _name(one: Training, keys: Sequence[str]) -> str:
    """The arm's own settings, which win over the run's, stay in front."""
    name = ArmName.parse(one.arm)
    told = [f"{key}={_value(one, key)}" for key in keys if key not in name.values]
    return str(replace(name, settings=", ".join([text for text in (name.settings, *told) if text])))


def _value(one: Training, key: str) -> str:
    return one.job.value(key) if one.job else "unknown"


def _settle(record: StudyRecord, arm: str, seed: int, trainings: Sequence[Training], found: Found) -> None:
    """Put the newest result of one arm and seed into the record, or why there is none."""
    finished = sorted((one for one in trainings if one.result), key=lambda one: one.written)
    where = training(seed, arm)
    if not finished:
        reasons = _once(one.reason for one in trainings if one.reason)
        if reasons:
            record.failed[where] = "; ".join(reasons)
        return
    *older, newest = finished
    if older:
        passed = ", ".join(str(one.folder) for one in older)
        found.add_problem(f"{where}: was trained more than once; the newest counts, {newest.folder}, not {passed}")
    assert newest.result is not None
    record.results.append(newest.result.model_copy(update={"arm": arm}))
    record.folders[where] = str(newest.folder)


def _once(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
