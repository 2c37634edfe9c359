"""What Hydra left of a job's configuration: the settings that a result was made with."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from fer_experiments.evaluation.arms import ArmName
from fer_experiments.identity import OF_NO_MATTER

HYDRA = ".hydra"
# What changes no result, or is said by the arm and the seed already.
SILENT = ("seed", "accelerator", "train", "balance", "augment", *OF_NO_MATTER)
SILENT_GROUPS = ("train.", "hydra.", "hydra/")


@dataclass(frozen=True)
class JobFolder:
    """One job. overrides: what was typed, key=value; config: the composed configuration; choices: {group: file}."""

    folder: Path
    overrides: tuple[str, ...]
    config: Mapping[str, Any]
    choices: Mapping[str, str]

    @property
    def keys(self) -> list[str]:
        """The overridden keys that can change a result."""
        keys = [override.lstrip("+~").partition("=")[0] for override in self.overrides]
        return [key for key in keys if key not in SILENT and not key.startswith(SILENT_GROUPS)]

    def value(self, key: str) -> str:
        """A key's value, overridden or not; of a group, the chosen file."""
        if key in self.choices:
            return str(self.choices[key])
        node: Any = self.config
        for part in key.split("."):
            node = node.get(part) if isinstance(node, Mapping) else None
        return yaml.safe_dump(node, default_flow_style=True, width=10**6).removesuffix("...\n").strip()

    def expected(self) -> list[tuple[int, str]]:
        """(seed, arm) of every classifier that the job was to train."""
        job = self.choices.get("train")
        if job not in ("cnn", "study"):
            return []
        seed, train = self.config["seed"], self.config["train"]
        if job == "cnn":
            return [(seed, str(ArmName(self.choices["balance"], self.choices["augment"])))]
        seeds = train["seeds"] if isinstance(train["seeds"], list) else [seed + n for n in range(train["seeds"])]
        names = [ArmName.parse(arm) for arm in train["arms"]]  # an arm without + takes the run's augment
        arms = [replace(name, augment=name.augment or self.choices["augment"]) for name in names]
        return [(number, str(arm)) for number in seeds for arm in arms]


def read_job(folder: Path) -> JobFolder:
    """Raises ValueError, with the folder's name, where Hydra's files are missing or broken."""
    try:
        overrides, config, hydra = (
            yaml.safe_load((folder / HYDRA / f"{name}.yaml").read_bytes()) for name in ("overrides", "config", "hydra")
        )
        return JobFolder(folder, tuple(overrides), config, hydra["hydra"]["runtime"]["choices"])
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        raise ValueError(f"{folder / HYDRA}: is no configuration of a job: {error}") from None


def job_of(folder: Path) -> Path | None:
    """The folder of the job that made the training in `folder`: its own, or the study's above seed_N/ARM."""
    return next((place for place in (folder, *folder.parents[:2]) if (place / HYDRA).is_dir()), None)
