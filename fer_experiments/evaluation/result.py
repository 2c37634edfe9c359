"""result.json: what one finished training of a classifier or a GAN achieved."""

import platform
from enum import Enum
from importlib.metadata import version
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, BaseModel, Field, FiniteFloat, model_validator

from fer_experiments.json_record import JSONRecord

Protocol = Literal["clean", "leak"]
PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "hydra-core", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages on which a result depends."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


class Trained(str, Enum):
    """What was trained, by the name of the job that trains it alone."""

    CLASSIFIER = "cnn"
    GAN = "dcgan"


class _ReportedMetrics(BaseModel):
    """The classification_metrics that a report needs; results of earlier versions lack the optional ones."""

    accuracy: float
    balanced_accuracy: float
    loss: float | None
    macro_f1: float | None = None
    auroc: float | None = None
    average_precision: float | None = None
    ece: float | None = None
    recall: dict[str, float | None]
    precision: dict[str, float | None] = Field(default_factory=dict)
    confusion: list[list[int]]
    images: int


class Result(JSONRecord):
    """One finished training.

    Attributes:
        job: whether a classifier or a GAN was trained.
        real, generated, repeated, interpolated, copied, added_real: {class: training images} of each origin.
        is_control: whether more or fewer real images were used than in the arms that are compared.
        metrics: {part: classification_metrics}; {} for a GAN.
        history: a row for each epoch (classifier) or each mean of the logged steps (GAN).
        split_hash: of the clean split, also under a leak, because the arm is measured on the same test images.
        protocol: "leak" if test images were in the GAN's training and chose the classifier's epoch (data/leak.py).
        fingerprint: of the training (trainer/fingerprint.py), by which a restarted job recognises its finished parts.
        shared_from: the folder in which the GAN was trained, if another job trained it.
        seconds: how long the training took, wherever it ran.
    """

    file_name: ClassVar[str] = "result.json"
    description: ClassVar[str] = "a result"

    job: Trained
    arm: str
    seed: int
    classes: list[str]
    real: dict[str, int]
    generated: dict[str, int]
    repeated: dict[str, int]
    interpolated: dict[str, int] = Field(default_factory=dict)
    copied: dict[str, int] = Field(default_factory=dict)
    added_real: dict[str, int] = Field(default_factory=dict)
    is_control: bool = False
    optimizer_steps: int
    selected_epoch: int | None
    metrics: dict[str, dict[str, Any]]
    history: list[dict[str, float]]
    split_hash: str
    protocol: Protocol = "clean"
    fingerprint: str | None = Field(None, validation_alias=AliasChoices("fingerprint", "training"))  # until 0.1.0
    shared_from: str | None = None
    seconds: FiniteFloat
    device: str
    precision: str
    versions: dict[str, str] = Field(default_factory=versions)

    @model_validator(mode="after")
    def _check_report_fields(self) -> "Result":
        if self.job is Trained.CLASSIFIER:
            if "test" not in self.metrics:
                raise ValueError("metrics: has no test part")
            if missing := set(self.classes) - set(self.real):
                raise ValueError(f"real: has no count of {', '.join(sorted(missing))}")
        for part, values in self.metrics.items():
            metrics = _ReportedMetrics.model_validate(values)
            if set(metrics.recall) != set(self.classes) or metrics.precision.keys() - set(self.classes):
                raise ValueError(f"metrics.{part}: recall and precision are not those of {', '.join(self.classes)}")
            if [len(row) for row in metrics.confusion] != [len(self.classes)] * len(self.classes):
                raise ValueError(f"metrics.{part}: confusion must have as many rows and columns as there are classes")
        return self
