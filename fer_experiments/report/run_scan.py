"""What finished and unfinished runs left below some folders."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fer_experiments.evaluation.result import Result, Trained
from fer_experiments.job_kinds import Trains
from fer_experiments.report.study_record import StudyRecord, training_key
from fer_experiments.runs.run_config import HYDRA_FOLDER, RunConfig, job_folder, read_run_config
from fer_experiments.runs.status import Status, job_state

SKIPPED_FOLDERS = ("synthetic", "samples", "checkpoints")  # they hold many files, and no results


@dataclass(frozen=True)
class Training:
    """A training of a classifier that has a result, or that was expected to have one.

    Attributes:
        arm, seed: by the result, the study or the job's configuration.
        config: of the job that trained it; None if it is not known.
        folder: where it was trained, or where the job lies that should have trained it.
        result: None if there is none; reason: why, "" if that is not known.
        written: when the result was written, in seconds since 1970.
    """

    arm: str
    seed: int
    config: RunConfig | None
    folder: Path
    result: Result | None = None
    reason: str = ""
    written: float = 0.0


@dataclass
class RunScan:
    """The studies, the results and the configurations of jobs, each by its folder.

    problems: sentences on what can't be read.
    """

    studies: dict[Path, StudyRecord] = field(default_factory=dict)
    results: dict[Path, Result] = field(default_factory=dict)
    configs: dict[Path, RunConfig] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def has_evaluations(self) -> bool:
        return any(config.kind.name == "evaluate" for config in self.configs.values())

    def read_folder(self, folder: Path) -> None:
        """Read the study, the result and the configuration that lie in a folder, if there are any."""
        try:
            if (folder / StudyRecord.file_name).is_file():
                self.studies[folder] = StudyRecord.load(folder)
        except ValueError as error:
            self.add_problem(error)
        try:
            if (folder / Result.file_name).is_file():
                self.results[folder] = Result.load(folder)
        except ValueError as error:
            self.add_problem(error)
        if (folder / HYDRA_FOLDER).is_dir():
            self._read_config(folder)

    def find_config(self, folder: Path) -> RunConfig | None:
        """Return the configuration of the job that trained what lies in a folder, which may be above it; else None."""
        place = job_folder(folder)
        if place is not None and place not in self.configs:
            self._read_config(place)
        return None if place is None else self.configs.get(place)

    def _read_config(self, folder: Path) -> None:
        try:
            self.configs[folder] = read_run_config(folder)
        except ValueError as error:
            self.add_problem(error)

    def add_problem(self, problem: object) -> None:
        """Add a sentence in one line, once."""
        sentence = " ".join(str(problem).split())
        if sentence not in self.problems:
            self.problems.append(sentence)


def scan_runs(folders: Sequence[Path]) -> RunScan:
    """Read what lies in or below the folders. Raises ValueError if one of them is not a folder."""
    scan = RunScan()
    for place in dict.fromkeys(place for folder in folders for place in _walk(folder)):
        scan.read_folder(place)
    return scan


def _walk(folder: Path) -> Iterable[Path]:
    """Yield the folder and all below it as absolute paths, in the order of a reader: 2 before 10."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: is not a folder")
    for place, names, _ in os.walk(folder.resolve()):
        names[:] = sorted((name for name in names if name not in SKIPPED_FOLDERS), key=_numeric_key)
        yield Path(place)


def _numeric_key(name: str) -> list[tuple[int, str]]:
    return [(int(digits or 0), text) for digits, text in re.findall(r"(\d*)(\D*)", name)]


def list_study_trainings(scan: RunScan) -> list[Training]:
    """Return a training for every arm and seed of every study. A result that can't be read is taken from study.json."""
    trainings = []
    for place, study in scan.studies.items():
        config = scan.configs.get(place)
        recorded = {(result.seed, result.arm): result for result in study.results}
        for seed, arm in ((seed, arm) for seed in study.seeds for arm in study.arms):
            result = recorded.get((seed, arm))
            if result is None:
                reason = study.failed.get(training_key(seed, arm), "")
                trainings.append(Training(arm, seed, config, place, reason=reason))
                continue
            folder = study.folder_of(result, place).resolve()
            file = folder / Result.file_name
            if folder in scan.results:
                result = scan.results[folder]
            else:
                file = place / StudyRecord.file_name
                scan.add_problem(
                    f"{training_key(seed, arm)}: no result can be read in {folder}; its numbers are those of {file}, "
                    "its predictions and files may be missing"
                )
            trainings.append(Training(arm, seed, config, folder, result, written=file.stat().st_mtime))
    return trainings


def list_single_trainings(scan: RunScan, study_trainings: Iterable[Training]) -> list[Training]:
    """Return the classifiers that are in none of the studies, and those that jobs without a result should have left."""
    configs = dict(scan.configs)  # find_config adds those of folders above the scanned ones
    of_studies = {training.folder for training in study_trainings}
    trainings = [
        Training(
            result.arm,
            result.seed,
            scan.find_config(folder),
            folder,
            result,
            written=(folder / Result.file_name).stat().st_mtime,
        )
        for folder, result in scan.results.items()
        if result.job is Trained.CLASSIFIER and folder not in of_studies
    ]
    for folder, config in configs.items():
        if folder not in scan.studies and folder not in scan.results:
            trainings += _list_missing(folder, config, scan)
    return trainings


def _list_missing(folder: Path, config: RunConfig, scan: RunScan) -> list[Training]:
    """Return the classifiers that a job without a result should have left."""
    expected = config.expected_classifiers()
    if not expected:
        return []
    is_study = config.kind.trains is Trains.EVERY_ARM
    reason = _explain_missing(folder, StudyRecord.file_name if is_study else Result.file_name, scan)
    return [Training(arm, seed, config, folder, reason=reason) for seed, arm in expected]


def _explain_missing(folder: Path, file_name: str, scan: RunScan) -> str:
    """Say what became of a job that left no file of this name."""
    try:
        status = Status.find(folder)
    except ValueError as error:
        scan.add_problem(error)
        status = None
    state = "done" if status is None else job_state(folder, status)
    if status is None or state == "done":
        return f"{folder} left no {file_name} that can be read"
    return status.error if state == "failed" else f"{state}, {status.process}: {folder}"
