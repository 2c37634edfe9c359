"""The configuration of a classifier and its training, conf/classifier/."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from fer_experiments.strict_config import StrictConfig

if TYPE_CHECKING:
    from torch import nn

    from fer_experiments.augment.mixing import Mixing

Schedule = Literal["one_cycle", "cosine", "multi_step"]


class ClassifierConfig(StrictConfig):
    """The keys of conf/classifier/cnn.yaml, which explains each of them.

    network: a `_target_` that takes num_classes, channels and image_size, and its other arguments. optimizer: a
    `_target_` that takes params and lr, which is learning_rate, and its other arguments. Both are checked later, by
    classifier/check.py, because they import torch.
    """

    network: dict[str, Any]
    freeze: Literal["backbone"] | None
    image_size: Annotated[int, Field(ge=8, le=512)]
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    optimizer: dict[str, Any]
    learning_rate: Annotated[float, Field(gt=0.0)]
    schedule: Schedule | dict[str, Any] | None
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)]
    mixup: Annotated[float, Field(gt=0.0)] | None
    flip_test: bool
    threshold: Literal["balanced"] | None
    checkpoint: Literal["best", "last"]
    checkpoint_every: Annotated[int, Field(ge=1)]

    def build_network(self, num_classes: int, channels: int) -> "nn.Module":
        """Build a new network, frozen as `freeze` says.

        Raises whatever the network raises for values that it does not take, and ValueError if it can't be frozen.
        """
        from fer_experiments.classifier.head import freeze_backbone
        from fer_experiments.classifier.networks import build_network

        network = build_network(self.network, num_classes, channels, self.image_size)
        return network if self.freeze is None else freeze_backbone(network, num_classes)

    def fingerprint_values(self, *excluded: str) -> dict[str, Any]:
        """Return {key: value} without the excluded keys; of network.weights the hash of the file's content."""
        values, weights = self.model_dump(exclude={*excluded}), self.network.get("weights")
        if isinstance(weights, str) and (file := Path(weights).expanduser()).is_file():
            values["network"] |= {"weights": hashlib.sha256(file.read_bytes()).hexdigest()}
        return values

    def build_mixing(self) -> "Mixing | None":
        """Build the mixup of the training recipe, for a balancing strategy that does not mix images itself."""
        from fer_experiments.augment.mixing import Mixing

        return None if self.mixup is None else Mixing(self.mixup)
