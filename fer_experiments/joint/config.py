"""The configuration of joint training, conf/joint/."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import StrictConfig

Weight = Annotated[float, Field(ge=0.0)]
EC_GAN_WEIGHT = 0.1  # of generated images in the class loss of EC-GAN (Haque 2021)


class JointConfig(StrictConfig):
    """The keys of conf/joint/adc.yaml, which explains each of them."""

    head: Literal["adc", "acgan", "external"]
    labels: Literal["balanced", "natural"] | dict[str, Weight]
    generated_fraction: Annotated[float, Field(ge=0.0, le=0.5)]
    warm_up: Annotated[float, Field(ge=0.0, lt=1.0)]
    learning_rate: Annotated[float, Field(gt=0.0)]
    share_trunk: bool
    adversarial_weight: Weight
    class_weight: Weight
    generated_weight: Weight | None
    generator_class_weight: Weight
    threshold: Annotated[float, Field(ge=0.0, lt=1.0)]
    pseudo_labels: bool

    @model_validator(mode="after")
    def _check_labels(self) -> "JointConfig":
        if isinstance(self.labels, dict) and not sum(self.labels.values()):
            raise ValueError(f"labels={self.labels}: no class has a weight; use joint.labels=balanced")
        return self

    @property
    def is_external(self) -> bool:
        """Whether the classifier is a separate network instead of the trunk."""
        return self.head == "external"

    @property
    def generated_loss_weight(self) -> float:
        """The weight of the class loss on generated images: generated_weight, or its default."""
        if self.generated_weight is not None:
            return self.generated_weight
        return EC_GAN_WEIGHT if self.is_external else 1.0

    def generated_in_batch(self, batch_size: int) -> int:
        """Return how many of `batch_size` images in a step's class loss are generated; the others are real."""
        return round(self.generated_fraction * batch_size)

    def class_probabilities(self, labels: np.ndarray, classes: tuple[str, ...]) -> list[float]:
        """Return the probabilities (K,) with which images of each class are generated.

        labels (N,): the class names of the training images. Raises ConfigError if joint.labels names a class that does
        not exist.
        """
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
