"""train=study: every arm on the same splits with the same number of steps, one GAN for each seed, one table."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from fer_experiments.data.module import ImageData
from fer_experiments.report.files import write_report
from fer_experiments.report.study import StudyRecord
from fer_experiments.train.arms import compose_arms
from fer_experiments.train.cnn import Arm, describe, find_synthetic, images_for_all, train_classifier
from fer_experiments.train.job import Job
from fer_experiments.train.record import write_data

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

log = logging.getLogger(__name__)
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Study(Job):
    """seeds: a count, from the run's seed on, or a list; arms: names as compose_arms takes them."""

    seeds: Annotated[int, Field(ge=1)] | Annotated[list[Seed], Field(min_length=1)]
    arms: Annotated[list[str], Field(min_length=1)]

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
        record = StudyRecord(arms=[arm.name for arm in arms], seeds=seeds)
        for seed in seeds:
            _run_seed(config.model_copy(update={"seed": seed}), arms, folder, record)
            record.seconds = time.monotonic() - started
            record.save(folder)
            write_report(record, folder)
        if record.failed:
            lines = "\n".join(f"  {where}: {why}" for where, why in record.failed.items())
            raise RuntimeError(f"{len(record.failed)} of {len(arms) * len(seeds)} trainings failed:\n{lines}")


def _run_seed(config: Config, arms: list[Arm], folder: Path, record: StudyRecord) -> None:
    """One seed: the split, the GAN that its arms share, the arms. A training that breaks loses no other."""
    here = folder / f"seed_{config.seed}"
    data = ImageData.prepare(config.data, config.seed)
    generated = images_for_all(config, data, arms)
    write_data(here, data, generated)
    if config.seed == record.seeds[0]:
        write_data(folder, data, generated)
    synthetic, broken = _synthetic(config, data, arms, here / "gan")
    for number, arm in enumerate(arms, start=1):
        log.info("--- seed %d, arm %d of %d: %s", config.seed, number, len(arms), arm.name)
        try:
            if broken is not None and arm.balance.needs_images:
                raise broken
            result = train_classifier(config, data, arm, synthetic, here / arm.name)
        except Exception as error:
            log.exception("seed %d, %s failed", config.seed, arm.name)
            record.failed[f"seed {config.seed}, {arm.name}"] = f"{type(error).__name__}: {error}"
        else:
            record.results.append(result)
            log.info("%s", describe(result))
        record.save(folder)


def _synthetic(
    config: Config, data: ImageData, arms: list[Arm], folder: Path
) -> tuple[dict[str, Path], Exception | None]:
    """find_synthetic, or what broke it, which only the arms that need its images are to meet."""
    try:
        return find_synthetic(config, data, arms, folder), None
    except Exception as error:
        return {}, error
