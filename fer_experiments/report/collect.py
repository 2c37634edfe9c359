"""One record from any finished runs: studies, sweeps, single trainings, and what is left of those that broke."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from fer_experiments.conf_files import list_keys, list_options
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.result import Result
from fer_experiments.report.run_scan import (
    RunScan,
    Training,
    list_single_trainings,
    list_study_trainings,
    scan_runs,
)
from fer_experiments.report.study_record import StudyRecord, training_key

T = TypeVar("T")


class NothingFinished(ValueError):
    """There is no result of a classifier to report."""


def collect(folders: Sequence[Path]) -> StudyRecord:
    """Collect the classifiers in or below `folders` into one study, whose `folders` are absolute.

    Runs of an arm that had different settings become different arms, "dcgan [gan.epochs=100]". Of several results with
    the same settings the newest counts. A training that was expected but is missing stays expected, and `problems`
    names all that can't be used.

    Raises ValueError if one of the folders is not a folder, NothingFinished if none has a classifier.
    """
    scan = scan_runs(folders)
    of_studies = list_study_trainings(scan)
    single = list_single_trainings(scan, of_studies)
    if not of_studies and not single:
        places = ", ".join(map(str, folders))
        hints = ["a run of train=evaluate has its own report.html"] if scan.has_evaluations else []
        raise NothingFinished("; ".join([f"no classifier was trained in {places}", *hints, *scan.problems]))
    trainings = _drop_other_classes(_name_arms([*of_studies, *single]), scan)
    seeds = _unique(training.seed for training in trainings)
    if len(scan.studies) == 1 and not any(training.result for training in single):
        record = next(iter(scan.studies.values())).model_copy(deep=True)
    else:
        seeds = sorted(seeds)
        results = [training.result for training in trainings if training.result]
        record = _join_studies(list(scan.studies.values()), results)
        record.problems += [
            f"{folder}: every training had {study.growth.length:.0%} of its configured length (train.length)"
            for folder, study in scan.studies.items()
            if study.growth is not None and study.growth.length < 1
        ]
    record.arms, record.seeds = _unique(training.arm for training in trainings), seeds
    record.results, record.failed, record.folders, record.unplanned = [], {}, {}, []
    for seed in record.seeds:
        for arm in record.arms:
            _add_newest(record, seed, arm, [each for each in trainings if (each.arm, each.seed) == (arm, seed)], scan)
    record.problems += scan.problems
    return record


def _join_studies(studies: Sequence[StudyRecord], results: Sequence[Result]) -> StudyRecord:
    """Return a record of several sources without their results. Its question is the first study's."""
    record = studies[0].model_copy(deep=True) if studies else StudyRecord(arms=[], seeds=[])
    record.work, record.finished_seeds, record.overhead = {}, [], None
    record.growth = None  # each source stopped by itself
    record.seconds = sum(result.seconds for result in results)
    record.versions = results[0].versions if results else record.versions
    record.problems = _unique(problem for study in studies for problem in study.problems)
    return record


def _name_arms(trainings: Sequence[Training]) -> list[Training]:
    """Return the trainings with the settings in which those of an arm differ added to the arm's name."""
    arms = {training.arm for training in trainings}
    keys = {arm: _find_different_keys([training for training in trainings if training.arm == arm]) for arm in arms}
    return [replace(training, arm=_full_name(training, keys[training.arm])) for training in trainings]


def _find_different_keys(trainings: Sequence[Training]) -> list[str]:
    """Return the settings in which one arm's trainings differ, without those that can't matter to it."""
    keys = _unique(key for training in trainings if training.config for key in training.config.settings)
    keys = [key for key in keys if _can_matter(key, trainings)]
    return [key for key in keys if len({_value(training, key) for training in trainings}) > 1]


def _can_matter(key: str, trainings: Sequence[Training]) -> bool:
    """Whether a setting may change one arm's trainings: a generator's if there is one, its own strategy's."""
    group, _, name = key.partition(".")
    results = [training.result for training in trainings if training.result]
    if group == "gan" and results:
        is_generated = any(sum(result.generated.values()) for result in results)
        is_copied = any(sum(result.copied.values()) for result in results)  # at the generator's size
        return is_generated or (is_copied and name == "image_size")
    strategy = ArmName.parse(trainings[0].arm).balance
    if group == "balance" and strategy in list_options("balance"):
        return name.split(".")[0] in list_keys("balance", strategy)
    return True


def _full_name(training: Training, keys: Sequence[str]) -> str:
    """Return the arm's name with its own settings first; they win over those of the run."""
    name = ArmName.parse(training.arm)
    settings = [f"{key}={_value(training, key)}" for key in keys if key not in name.values]
    return str(replace(name, settings=", ".join(filter(None, [name.settings, *settings]))))


def _value(training: Training, key: str) -> str:
    return training.config.value(key) if training.config else "unknown"


def _drop_other_classes(trainings: Sequence[Training], scan: RunScan) -> list[Training]:
    """Return the trainings without those on other classes than the first of their arm; these become problems."""
    classes: dict[str, list[str]] = {}
    kept = []
    for training in trainings:
        result = training.result
        if result and classes.setdefault(training.arm, result.classes) != result.classes:
            scan.add_problem(
                f"{training.folder}: was trained on {', '.join(result.classes)}, another {training.arm} on "
                f"{', '.join(classes[training.arm])}; it is left out"
            )
        else:
            kept.append(training)
    return kept


def _add_newest(record: StudyRecord, seed: int, arm: str, trainings: Sequence[Training], scan: RunScan) -> None:
    """Add the newest result of one arm and seed to the record, or the reasons why there is none."""
    key = training_key(seed, arm)
    if not trainings:
        record.unplanned.append(key)
        return
    finished = sorted((training for training in trainings if training.result), key=lambda training: training.written)
    if not finished:
        reasons = _unique(training.reason for training in trainings if training.reason)
        if reasons:
            record.failed[key] = "; ".join(reasons)
        return
    *older, newest = finished
    if older:
        passed_over = ", ".join(str(training.folder) for training in older)
        scan.add_problem(f"{key}: was trained more than once; the newest counts, {newest.folder}, not {passed_over}")
    assert newest.result is not None
    record.results.append(newest.result.model_copy(update={"arm": arm}))
    record.folders[key] = str(newest.folder)


def _unique(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))
