"""What conf/joint/ configures."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from fer_experiments.errors import ConfigError
from fer_experiments.spec import Spec

Weight = Annotated[float, Field(ge=0.0)]
EC_GAN_WEIGHT = 0.1  # of generated images in EC-GAN's class loss (Haque 2021)


class JointConfig(Spec):
    head: Literal["adc", "acgan", "external"]
    labels: Literal["balanced", "natural"] | dict[str, Weight]
    share: Annotated[float, Field(ge=0.0, le=0.5)]
    warm_up: Annotated[float, Field(ge=0.0, lt=1.0)]
    learning_rate: Annotated[float, Field(gt=0.0)]
    shared: bool
    adversarial_weight: Weight
    class_weight: Weight
    generated_weight: Weight | None
    generator_class_weight: Weight
    threshold: Annotated[float, Field(ge=0.0, lt=1.0)]
    pseudo_labels: bool

    @model_validator(mode="after")
    def _fits_together(self) -> "JointConfig":
        if isinstance(self.labels, dict) and not sum(self.labels.values()):
            raise ValueError(f"labels={self.labels}: no class has a weight; use joint.labels=balanced")
        return self

    @property
    def external(self) -> bool:
        """Whether the classifier is a network of its own instead of the trunk."""
        return self.head == "external"

    @property
    def beside_real(self) -> float:
        """generated_weight, or what its null means."""
        if self.generated_weight is not None:
            return self.generated_weight
        return EC_GAN_WEIGHT if self.external else 1.0

    def probabilities(self, labels: np.ndarray, classes: tuple[str, ...]) -> list[float]:
        """Of each class to be asked for; labels (N,) are the training images'. Raises ConfigError for unknown ones."""
        if self.labels == "balanced":
            weights = dict.fromkeys(classes, 1.0)
        elif self.labels == "natural":
            weights = {name: float((labels == name).sum()) for name in classes}
        else:
            weights = self.labels
        if unknown := sorted(set(weights) - set(classes)):
            raise ConfigError(
                f"joint.labels={self.labels}: no class {', '.join(unknown)}; the classes are {', '.join(classes)}"
            )
        total = sum(weights.values())
        return [weights.get(name, 0.0) / total for name in classes]
