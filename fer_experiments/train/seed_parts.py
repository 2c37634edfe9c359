"""The seeds of a study, by their parts: the data, the GANs that the arms share, their audits, the classifiers.

Parts of one kind do not need each other, so that several processes share the parts of all seeds (run_parts.py).
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from fer_experiments.data.prepared import PreparedData
from fer_experiments.errors import ConfigError, StorageError
from fer_experiments.evaluation.result import Result
from fer_experiments.report.study_record import training_key
from fer_experiments.runs.data_files import check_same_images, write_data_files
from fer_experiments.train.arms.arm import Arm, group_by_generator
from fer_experiments.train.arms.audit_arms import audit_arms
from fer_experiments.train.arms.train_classifier import describe_result, train_classifier
from fer_experiments.train.arms.training_images import generate_images, list_gans
from fer_experiments.train.gan.selection import count_generated_images
from fer_experiments.train.run_parts import HEADING, Part, Steps, TimedValue, run_side_by_side, run_steps
from fer_experiments.train.settings import Settings

log = logging.getLogger(__name__)

GeneratedFolders: TypeAlias = dict[str, Path | str]
"""{class: the folder of its generated images, or the error that arms meet which need them}."""


@dataclass
class SeedOutcome:
    """What one seed left: results and failures of its arms, and the seconds of each kind of its parts."""

    folder: Path
    results: list[Result] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    work: dict[str, float] = field(default_factory=dict)


def list_steps(settings: Settings, arms: Sequence[Arm], data: PreparedData, folder: Path) -> Steps[SeedOutcome]:
    """Give the parts of a seed, step by step; the caller sends back what those of a step have returned.

    settings: with the seed; folder: the study's. Returns the outcome.
    """
    outcome = SeedOutcome(folder / f"seed_{settings.seed}")

    def note(kind: str, timed: list[TimedValue]) -> list[Any]:
        outcome.work[kind] = sum(seconds for _, seconds in timed)
        return [value for value, _ in timed]

    needed = count_generated_images(settings, data, arms)
    note("data", (yield [Part(write_data_files, (outcome.folder, data, needed))]))

    gans: dict[str, GeneratedFolders] = {}
    parts, names = [], []
    for name, group in group_by_generator(arms).items():
        gan_settings, gans[name] = settings.with_gan(group[0].gan), {}
        try:
            places = list_gans(gan_settings, data, group, outcome.folder / name)
        except ConfigError as error:
            gans[name] = dict.fromkeys(data.classes, _describe_failed_gan(group, error))
            continue
        parts += [Part(_train_gan, (gan_settings, data, group, *place)) for place in places.items()]
        names += [name] * len(places)
    for name, images in zip(names, note("gan", (yield parts)), strict=True):
        gans[name] |= images

    parts = []
    for name in dict.fromkeys(arm.gan_folder for arm in arms):
        folders = {outcome.folder / arm.folder: arm for arm in arms if arm.gan_folder == name}
        first = next(iter(folders.values()))
        synthetic = {label: place for label, place in gans.get(name, {}).items() if isinstance(place, Path)}
        parts.append(Part(audit_arms, (settings.with_gan(first.gan), data, folders, synthetic, first.leak)))
    note("audit", (yield parts))

    parts = []
    for number, arm in enumerate(arms, start=1):
        title = f"seed {settings.seed}, arm {number} of {len(arms)}: {arm.name}"
        images = gans.get(arm.gan_folder, {})
        arguments = (title, settings.with_gan(arm.gan), data, arm, images, outcome.folder / arm.folder)
        parts.append(Part(_train_arm, arguments))
    for arm, result in zip(arms, note("classifiers", (yield parts)), strict=True):
        if isinstance(result, Result):
            outcome.results.append(result)
        else:
            outcome.failed[training_key(settings.seed, arm.name)] = result
    return outcome


def run_seeds(seeds: Sequence[Settings], arms: Sequence[Arm], folder: Path, workers: int) -> Iterator[SeedOutcome]:
    """Give the outcome of each seed, in their order. A training that fails costs no other.

    seeds: the configuration with each seed; folder: the study's; workers: processes; 1: this one.
    """
    if not seeds:
        return
    data = PreparedData.prepare(seeds[0].data, seeds[0].seed)
    check_same_images(folder / f"seed_{seeds[0].seed}", data)
    splits = chain([data], (data.with_seed(settings.seed) for settings in seeds[1:]))
    steps = (list_steps(settings, arms, split, folder) for settings, split in zip(seeds, splits, strict=True))
    if workers == 1:
        yield from map(run_steps, steps)
    else:
        yield from run_side_by_side([settings.seed for settings in seeds], steps, workers)


def _train_gan(
    settings: Settings, data: PreparedData, arms: list[Arm], folder: Path, needed: dict[str, int]
) -> GeneratedFolders:
    """Train a generator that the arms share; only they meet its error."""
    try:
        return {**generate_images(settings, data, arms, needed, folder)}
    except StorageError:
        raise
    except Exception as error:
        if settings.trainer.is_distributed:
            raise
        return dict.fromkeys(needed, _describe_failed_gan(arms, error))


def _describe_failed_gan(arms: Sequence[Arm], error: Exception) -> str:
    """Log that the arms will fail; return the error as text."""
    names = ", ".join(arm.name for arm in arms)
    log.warning("no generated images for %s, which will fail: %s", names, error, exc_info=_is_unexpected(error))
    return _describe(error)


def _train_arm(
    title: str, settings: Settings, data: PreparedData, arm: Arm, images: GeneratedFolders, folder: Path
) -> Result | str:
    """Train an arm; return its result, or its error as text.

    Raises StorageError: the next arm would find the disk full as well. On several devices any error is raised: it may
    have occurred on one rank alone, and the others would wait for that.
    """
    log.info("%s%s", HEADING, title)
    needs_images = arm.balance.needs_generated_images
    needed = count_generated_images(settings, data, [arm]) if needs_images else {}
    for error in (images.get(label) for label in sorted(needed)):
        if isinstance(error, str):
            log.error("seed %d, %s failed: %s", settings.seed, arm.name, error)
            return error
    synthetic = {label: place for label, place in images.items() if isinstance(place, Path)}
    try:
        result = train_classifier(settings, data, arm, synthetic, folder)
    except StorageError:
        raise
    except Exception as error:
        if settings.trainer.is_distributed:
            raise
        log.error("seed %d, %s failed: %s", settings.seed, arm.name, error, exc_info=_is_unexpected(error))
        return _describe(error)
    log.info("%s", describe_result(result))
    return result


def _is_unexpected(error: Exception) -> bool:
    """Whether a traceback says more than the error; what is wrong with the configuration says so itself."""
    return not isinstance(error, ConfigError)


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
