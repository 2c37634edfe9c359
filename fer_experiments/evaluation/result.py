"""result.json: what one finished training found."""

import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from fer_experiments.whole import whole

FILE = "result.json"
Protocol = Literal["clean", "leak"]
PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


class _Measured(BaseModel):
    """What a report needs of classification_metrics; older results lack the others."""

    accuracy: float
    balanced_accuracy: float
    loss: float | None
    macro_f1: float | None = None
    auroc: float | None = None
    ece: float | None = None
    recall: dict[str, float | None]
    precision: dict[str, float | None] = Field(default_factory=dict)
    confusion: list[list[int]]
    images: int


class Result(BaseModel):
    """One training of a GAN or a classifier. `metrics` is {part: classification_metrics}, for a GAN {}.

    protocol: leak where test images were in the GAN's training and chose the classifier's epoch, as data/leak.py has
    it; split_hash is the clean split's then, too, since the arm is measured on the same test images. training: the
    fingerprint of what was trained on what, by which a job that was killed knows its finished parts. shared_from: where
    a GAN was trained (in so many seconds), if another job did that.
    """

    model_config = ConfigDict(extra="forbid")

    job: str
    arm: str
    seed: int
    classes: list[str]
    real: dict[str, int]
    generated: dict[str, int]
    repeated: dict[str, int]
    interpolated: dict[str, int] = Field(default_factory=dict)
    optimizer_steps: int
    selected_epoch: int | None
    metrics: dict[str, dict[str, Any]]
    history: list[dict[str, float]]
    split_hash: str
    protocol: Protocol = "clean"
    training: str | None = None
    shared_from: str | None = None
    seconds: FiniteFloat
    device: str
    precision: str
    versions: dict[str, str] = Field(default_factory=versions)

    @model_validator(mode="after")
    def _has_what_a_report_needs(self) -> "Result":
        if self.job == "cnn":
            if "test" not in self.metrics:
                raise ValueError("metrics: has no test part")
            if missing := set(self.classes) - set(self.real):
                raise ValueError(f"real: has no count of {', '.join(sorted(missing))}")
        for part, values in self.metrics.items():
            measured = _Measured.model_validate(values)
            if set(measured.recall) != set(self.classes) or measured.precision.keys() - set(self.classes):
                raise ValueError(f"metrics.{part}: recall and precision are not those of {', '.join(self.classes)}")
            if [len(row) for row in measured.confusion] != [len(self.classes)] * len(self.classes):
                raise ValueError(f"metrics.{part}: confusion has not as many rows and columns as there are classes")
        return self

    def save(self, folder: Path) -> None:
        with whole(folder / FILE) as temporary:
            temporary.write_text(json.dumps(self.model_dump(), indent=1))

    @classmethod
    def load(cls, folder: Path) -> "Result":
        """Raises ValueError, with the file's name, where the file is missing or not a result."""
        path = folder / FILE
        try:
            return cls.model_validate(json.loads(path.read_bytes()))  # pydantic's parser takes no names of odd bytes
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: is no result: {error}") from None
