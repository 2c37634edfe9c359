"""A study's record, and its tables."""

import json
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from fer_experiments.evaluation.result import Result, versions
from fer_experiments.evaluation.verdict import Question

FILE = "study.json"


class StudyRecord(BaseModel):
    """What study.json holds; results has one entry for each finished arm and seed.

    work: seconds of each part (data, gan, audit, classifiers) summed over the seeds; overhead: by what share the study
    took longer than its parts (0.05: 5 %), below zero where seeds ran side by side.
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
    problems: list[str] = Field(default_factory=list)

    def folder_of(self, result: Result, study: Path) -> Path:
        return study / f"seed_{result.seed}" / result.arm

    def add(self, results: list[Result], failed: dict[str, str], work: dict[str, float], seconds: float) -> None:
        """A further seed is done, `seconds` after the study began."""
        self.results += results
        self.failed |= failed
        self.work = {part: self.work.get(part, 0.0) + spent for part, spent in work.items()}
        self.seconds = seconds
        self.overhead = seconds / sum(self.work.values()) - 1

    def save(self, folder: Path) -> None:
        (folder / FILE).write_text(json.dumps(self.model_dump(), indent=1))

    def of_arm(self, arm: str) -> list[Result]:
        return [result for result in self.results if result.arm == arm]


def comparison(record: StudyRecord) -> pd.DataFrame:
    """One row for each finished arm and seed: counts, steps, and metrics on test."""
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
                "optimizer_steps": result.optimizer_steps,
                "selected_epoch": result.selected_epoch,
                "accuracy": test["accuracy"],
                "balanced_accuracy": test["balanced_accuracy"],
                "loss": test["loss"],
                **{f"recall_{name}": value for name, value in test["recall"].items()},
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
                "accuracy": f"{mean['accuracy']:.2%}",
                "balanced accuracy": f"{mean['balanced_accuracy']:.2%}",
                "loss": f"{mean['loss']:.4f}",
                **{f"recall {name}": f"{mean[f'recall_{name}']:.2%}" for name in first.classes},
            }
        )
    return pd.DataFrame(rows).fillna("")


def training_images(result: Result) -> str:
    """ "angry 820 + 80 generated, happy 900"."""
    parts = []
    for name in result.classes:
        part = f"{name} {result.real[name]}"
        part += f" + {result.generated[name]} generated" if result.generated.get(name) else ""
        part += f" + {result.repeated[name]} repeated" if result.repeated.get(name) else ""
        parts.append(part)
    return ", ".join(parts)
