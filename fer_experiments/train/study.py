"""train=study: every arm on the same splits with as many optimizer steps, one GAN for each seed, one table."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import joblib
from pydantic import Field, field_validator

from fer_experiments.data.module import ImageData
from fer_experiments.errors import ConfigError, StorageError
from fer_experiments.evaluation.result import Result
from fer_experiments.evaluation.verdict import Question
from fer_experiments.report.files import write_report
from fer_experiments.report.study import StudyRecord, training
from fer_experiments.train.arm import Arm
from fer_experiments.train.arms import compose_arms, full_name
from fer_experiments.train.audit import audit_arms
from fer_experiments.train.cnn import describe, train_classifier
from fer_experiments.train.job import Job
from fer_experiments.train.memory import keep_freed_memory
from fer_experiments.train.ranks import on_first
from fer_experiments.train.record import write_data
from fer_experiments.train.search import valid_balanced_accuracy
from fer_experiments.train.training_images import find_synthetic, images_for_all
from fer_experiments.whole import whole

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

log = logging.getLogger(__name__)
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Study(Job, Question):
    """seeds: a count, from the run's seed on, or a list; arms: names as compose_arms takes them.

    workers: processes that run seeds side by side, each with its share of the processor's cores. Question's fields
    say what is asked of the results.
    """

    seeds: Annotated[int, Field(ge=1)] | Annotated[list[Seed], Field(min_length=1)]
    arms: Annotated[list[str], Field(min_length=1)]
    workers: Annotated[int, Field(ge=1)]

    @field_validator("arms", "seeds")
    @classmethod
    def _each_once(cls, values: list | int) -> list | int:
        if isinstance(values, list) and len(set(values)) < len(values):
            raise ValueError(f"names something twice: {values}")
        return values

    def check(self, config: Config) -> None:
        compose_arms(self.arms, config)

    def run(self, config: Config, folder: Path) -> None:
        started = time.monotonic()
        arms = compose_arms(self.arms, config)
        seeds = self.seeds if isinstance(self.seeds, list) else [config.seed + n for n in range(self.seeds)]
        question = Question(
            **self.model_dump(include=set(Question.model_fields)) | {"baseline": full_name(self.baseline)}
        )
        record = StudyRecord(arms=[arm.name for arm in arms], seeds=seeds, question=question)
        record.seconds, record.work = _spent(folder)
        started -= record.seconds
        on_first(record.save)(folder)  # so that what is asked is known even if no seed gets done
        workers = min(self.workers, len(seeds))
        run = _run_seed if workers == 1 else _run_seed_in_a_process
        calls = (joblib.delayed(run)(config.model_copy(update={"seed": n}), arms, folder) for n in seeds)
        # loky gives each of its processes cores / workers threads.
        for done in joblib.Parallel(workers, backend="loky", return_as="generator")(calls):
            first = not record.results and not record.failed
            record.add(done.results, done.failed, done.work, time.monotonic() - started)
            _write(record, folder, done.folder if first else None)
        if record.failed:
            lines = "\n".join(f"  {where}: {why}" for where, why in record.failed.items())
            raise RuntimeError(f"{len(record.failed)} of {len(arms) * len(seeds)} trainings failed:\n{lines}")

    def check_search(self, config: Config) -> None:
        if all(arm.leak for arm in compose_arms(self.arms, config)):
            raise ConfigError(
                f"hydra/sweeper: train.arms={self.arms} all leak, so that test images would choose; name an arm "
                "without @leak"
            )

    def objective(self, folder: Path) -> float:
        return valid_balanced_accuracy(StudyRecord.load(folder).results)


def _spent(folder: Path) -> tuple[float, dict[str, float]]:
    """Seconds of an earlier start of this study, up to its last finished seed: in all, and of each part."""
    try:
        record = StudyRecord.load(folder)
    except ValueError:
        return 0.0, {}
    return record.seconds, record.work


@on_first
def _write(record: StudyRecord, folder: Path, data: Path | None) -> None:
    """The study so far and its report; with `data` the files of the first seed's data, too."""
    if data is not None:
        for file in [data / "split.csv", data / "data.json", *data.glob("near_dup*.*")]:
            with whole(folder / file.name) as temporary:
                shutil.copyfile(file, temporary)
    record.save(folder)
    write_report(record, folder)


@dataclass
class Done:
    """What one seed left: results and failures of its arms, and the seconds of each part of its work."""

    folder: Path
    results: list[Result] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    work: dict[str, float] = field(default_factory=dict)


def _run_seed(config: Config, arms: list[Arm], folder: Path) -> Done:
    """One seed: the split, the GAN that its arms share, the arms. A training that breaks loses no other."""
    done = Done(folder / f"seed_{config.seed}")
    started = time.monotonic()
    data = ImageData.prepare(config.data, config.seed)
    write_data(done.folder, data, images_for_all(config, data, arms))
    done.work["data"] = time.monotonic() - started
    started = time.monotonic()
    made = {leak: _synthetic(config, data, arms, done.folder, leak) for leak in (False, True)}
    done.work["gan"] = time.monotonic() - started
    started = time.monotonic()
    for leak, (synthetic, _) in made.items():
        folders = {done.folder / arm.folder: arm for arm in arms if arm.leak == leak}
        audit_arms(config, data, folders, synthetic, leak)
    done.work["audit"] = time.monotonic() - started
    started = time.monotonic()
    for number, arm in enumerate(arms, start=1):
        log.info("--- seed %d, arm %d of %d: %s", config.seed, number, len(arms), arm.name)
        synthetic, broken = made[arm.leak]
        try:  # but for a full disk, which the next arm would meet as well
            if broken is not None and arm.balance.needs_images:
                raise broken
            result = train_classifier(config, data, arm, synthetic, done.folder / arm.folder)
        except StorageError:
            raise
        except Exception as error:
            if config.trainer.several:
                raise  # it may have broken one rank alone, for which the others would wait
            log.exception("seed %d, %s failed", config.seed, arm.name)
            done.failed[training(config.seed, arm.name)] = f"{type(error).__name__}: {error}"
        else:
            done.results.append(result)
            log.info("%s", describe(result))
    done.work["classifiers"] = time.monotonic() - started
    return done


def _run_seed_in_a_process(config: Config, arms: list[Arm], folder: Path) -> Done:
    """_run_seed where Hydra has set up nothing: log lines name their seed."""
    _end_with_parent()
    keep_freed_memory()
    line = logging.Formatter(f"seed {config.seed}: %(message)s")
    console = logging.StreamHandler(sys.stdout)
    console.setFormatter(line)
    logging.root.handlers = [console]
    logging.root.setLevel(logging.INFO)
    return _run_seed(config, arms, folder)


@cache
def _end_with_parent() -> None:
    """A study that was killed leaves its processes, which would write beside those of the next start."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _synthetic(
    config: Config, data: ImageData, arms: list[Arm], folder: Path, leak: bool
) -> tuple[dict[str, Path], Exception | None]:
    """find_synthetic for the arms that leak or don't, or what broke it, which only the arms in need are to meet."""
    needy = [arm for arm in arms if arm.leak == leak]
    try:
        return find_synthetic(config, data, needy, folder / ("gan_leak" if leak else "gan"), leak), None
    except StorageError:
        raise
    except Exception as error:
        if config.trainer.several:
            raise
        return {}, error
