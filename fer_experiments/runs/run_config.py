"""The configuration that a job left in its folder: with which settings a result was made."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from fer_experiments.completed_overrides import NULL_LENGTHS
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.job_kinds import JobKind, Trains, job_kind
from fer_experiments.override_syntax import override_key
from fer_experiments.run_naming import KEYS_NOT_HASHED

HYDRA_FOLDER = ".hydra"
# Keys that change no result, or that the arm and the seed of a result already say.
NOT_SETTINGS = ("seed", "accelerator", "train", "balance", "augment", "logger", *KEYS_NOT_HASHED)
NOT_SETTINGS_PREFIXES = ("train.", "logger.", "hydra.", "hydra/")
LENGTH = "train.length"  # the key of a study that changes its trainings


@dataclass(frozen=True)
class RunConfig:
    """The configuration of one job.

    overrides: as typed, key=value; config: the composed configuration; choices: {group: chosen file}.
    """

    folder: Path
    overrides: tuple[str, ...]
    config: Mapping[str, Any]
    choices: Mapping[str, str]

    @property
    def kind(self) -> JobKind:
        return job_kind(self.choices)

    @property
    def settings(self) -> list[str]:
        """Return the overridden keys that can change a result."""
        keys = (override_key(override) for override in self.overrides if override not in NULL_LENGTHS)
        return [
            key
            for key in keys
            if key == LENGTH or (key not in NOT_SETTINGS and not key.startswith(NOT_SETTINGS_PREFIXES))
        ]

    def value(self, key: str) -> str:
        """Return the value of any key, as YAML in one line; for a group, the name of the chosen file."""
        if key in self.choices:
            return str(self.choices[key])
        node: Any = self.config
        for part in key.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        return yaml.safe_dump(node, default_flow_style=True, width=10**6).removesuffix("...\n").strip()

    def expected_classifiers(self) -> list[tuple[int, str]]:
        """Return (seed, arm) of every classifier that the job trains when it is complete.

        Of a study with train.seeds=auto, return those of its first seed: how many follow depends on the results.
        """
        if self.kind.trains is Trains.NOTHING:
            return []
        seed, train = self.config["seed"], self.config["train"]
        if self.kind.trains is Trains.ONE_ARM:
            return [(seed, str(ArmName(self.choices["balance"], self.choices["augment"])))]
        seeds = train["seeds"]
        if not isinstance(seeds, list):
            seeds = [seed + number for number in range(1 if seeds == "auto" else seeds)]
        names = [ArmName.parse(arm).with_name for arm in train["arms"]]  # an arm without + takes the run's augment
        arms = [replace(name, augment=name.augment or self.choices["augment"]) for name in names]
        return [(each, str(arm)) for each in seeds for arm in arms]


def read_run_config(folder: Path) -> RunConfig:
    """Read what Hydra left in a job's folder. Raises ValueError, which names the folder, if that can't be read."""
    try:
        overrides, config, hydra = (
            yaml.safe_load((folder / HYDRA_FOLDER / f"{name}.yaml").read_bytes())
            for name in ("overrides", "config", "hydra")
        )
        return RunConfig(folder, tuple(overrides), config, hydra["hydra"]["runtime"]["choices"])
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        raise ValueError(f"{folder / HYDRA_FOLDER}: is not the configuration of a job: {error}") from None


def job_folder(folder: Path) -> Path | None:
    """Return the folder of the job that trained what lies in `folder`: itself, or a study's above seed_N/ARM."""
    return next((place for place in (folder, *folder.parents[:2]) if (place / HYDRA_FOLDER).is_dir()), None)
