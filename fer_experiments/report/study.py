"""A study's record, and its tables."""

import json
import math
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from fer_experiments.evaluation.arms import ArmName
from fer_experiments.evaluation.result import Result, versions
from fer_experiments.evaluation.verdict import Question
from fer_experiments.whole import whole

FILE = "study.json"
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "loss", "ece")


def training(seed: int, arm: str) -> str:
    """The name of one training: the key of failed and folders."""
    return f"seed {seed}, {arm}"


class StudyRecord(BaseModel):
    """What study.json holds; results has one entry for each finished arm and seed.

    work: seconds of each part (data, gan, audit, classifiers) summed over the seeds; overhead: by what share the study
    took longer than its parts (0.05: 5 %), below zero where seeds ran side by side. folders: {"seed 0, none": its
    folder} of trainings that are not in seed_N/ARM of the study; problems: sentences on what could not be used.
    """

    model_config = ConfigDict(extra="forbid")

    arms: list[str]
    seeds: list[int]
    question: Question = Field(default_factory=Question)
    results: list[Result] = Field(default_factory=list)
    failed: dict[str, str] = Field(default_factory=dict)
    seconds: float = 0.0
    work: dict[str, float] = Field(default_factory=dict)
    overhead: float | None = None
    versions: dict[str, str] = Field(default_factory=versions)
    folders: dict[str, str] = Field(default_factory=dict)
    problems: list[str] = Field(default_factory=list)

    @classmethod
    def load(cls, folder: Path) -> "StudyRecord":
        """Raises ValueError, with the file's name, where study.json is missing or not a study's."""
        path = folder / FILE
        try:
            return cls.model_validate(json.loads(path.read_bytes()))  # pydantic's parser takes no names of odd bytes
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: is no study: {error}") from None

    def folder_of(self, result: Result, study: Path) -> Path:
        """Where a training of the study in the folder `study` left its files."""
        usual = f"seed_{result.seed}/{ArmName.parse(result.arm).folder}"
        return study / self.folders.get(training(result.seed, result.arm), usual)

    def add(self, results: list[Result], failed: dict[str, str], work: dict[str, float], seconds: float) -> None:
        """A further seed is done, `seconds` after the study began."""
        self.results += results
        self.failed |= failed
        self.work = {part: self.work.get(part, 0.0) + spent for part, spent in work.items()}
        self.seconds = seconds
        self.overhead = seconds / sum(self.work.values()) - 1

    def save(self, folder: Path) -> None:
        with whole(folder / FILE) as temporary:
            temporary.write_text(json.dumps(self.model_dump(), indent=1))

    def of_arm(self, arm: str) -> list[Result]:
        return [result for result in self.results if result.arm == arm]


def comparison(record: StudyRecord) -> pd.DataFrame:
    """One row for each finished arm and seed: counts, steps, and metrics on test, NaN where undefined."""
    rows = []
    for result in record.results:
        test = result.metrics["test"]
        rows.append(
            {
                "arm": result.arm,
                "seed": result.seed,
                "real": sum(result.real.values()),
                "repeated": sum(result.repeated.values()),
                "generated": sum(result.generated.values()),
                "interpolated": sum(result.interpolated.values()),
                "optimizer_steps": result.optimizer_steps,
                "selected_epoch": result.selected_epoch,
                **{name: _number(test.get(name)) for name in METRICS},  # older results lack some
                **{f"recall_{name}": _number(value) for name, value in test["recall"].items()},
                **{f"precision_{name}": _number(value) for name, value in test.get("precision", {}).items()},
                "test_images": test["images"],
                "split_hash": result.split_hash,
                "seconds": round(result.seconds, 1),
            }
        )
    return pd.DataFrame(rows)


def summary(record: StudyRecord) -> pd.DataFrame:
    """One row an arm, in the study's order: means over its seeds, as a person reads them."""
    table = comparison(record)
    rows = []
    for arm in record.arms:
        of_arm = table[table["arm"] == arm] if len(table) else table
        if of_arm.empty:
            rows.append({"arm": arm, "seeds": "0"})
            continue
        mean = of_arm.mean(numeric_only=True)
        first = record.of_arm(arm)[0]
        rows.append(
            {
                "arm": arm,
                "seeds": str(len(of_arm)),
                "training images": training_images(first),
                "accuracy": _shown(mean["accuracy"], ".2%"),
                "balanced accuracy": _shown(mean["balanced_accuracy"], ".2%"),
                "macro F1": _shown(mean["macro_f1"], ".2%"),
                "AUROC": _shown(mean["auroc"], ".4f"),
                "loss": _shown(mean["loss"], ".4f"),
                "ECE": _shown(mean["ece"], ".4f"),
                **{f"recall {name}": _shown(mean[f"recall_{name}"], ".2%") for name in first.classes},
            }
        )
    return pd.DataFrame(rows).fillna("")


def _number(value: float | None) -> float:
    """A table's cell; None, which is undefined or unknown, is NaN and in the file empty."""
    return math.nan if value is None else value


def _shown(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)


def training_images(result: Result) -> str:
    """ "angry 820 + 80 generated, happy 900"."""
    parts = []
    for name in result.classes:
        part = f"{name} {result.real[name]}"
        part += f" + {result.generated[name]} generated" if result.generated.get(name) else ""
        part += f" + {result.repeated[name]} repeated" if result.repeated.get(name) else ""
        part += f" + {result.interpolated[name]} interpolated" if result.interpolated.get(name) else ""
        parts.append(part)
    return ", ".join(parts)
