"""The configuration of a classifier and its training, conf/classifier/."""

from typing import Annotated, Any, Literal

from hydra.utils import instantiate
from pydantic import Field, field_validator
from torch import nn

from fer_experiments.augment import Mixing
from fer_experiments.classifier.recipe import Schedule, check_optimizer
from fer_experiments.strict_config import StrictConfig, check_signature


class ClassifierConfig(StrictConfig):
    """The keys of conf/classifier/cnn.yaml, which explains each of them.

    network: a `_target_` that takes num_classes, channels and image_size, and its other arguments. optimizer: a
    `_target_` that takes params and lr, which is learning_rate, and its other arguments.
    """

    network: dict[str, Any]
    image_size: Annotated[int, Field(ge=8, le=512)]
    epochs: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=1)]
    optimizer: dict[str, Any]
    learning_rate: Annotated[float, Field(gt=0.0)]
    schedule: Schedule | None
    ema: Annotated[float, Field(gt=0.0, lt=1.0)] | None
    label_smoothing: Annotated[float, Field(ge=0.0, lt=1.0)]
    mixup: Annotated[float, Field(gt=0.0)] | None
    flip_test: bool
    checkpoint: Literal["best", "last"]
    checkpoint_every: Annotated[int, Field(ge=1)]

    def build_network(self, num_classes: int, channels: int) -> nn.Module:
        """Build a new network. Raises whatever the network raises for values that it does not take."""
        return build_network(self.network, num_classes, channels, self.image_size)

    def build_mixing(self) -> Mixing | None:
        """Build the mixup of the training recipe, for a balancing strategy that does not mix images itself."""
        return None if self.mixup is None else Mixing(self.mixup)

    @field_validator("network")
    @classmethod
    def _check_network(cls, network: dict[str, Any]) -> dict[str, Any]:
        check_signature("network", network, "num_classes", "channels", "image_size")
        return network

    @field_validator("optimizer")
    @classmethod
    def _check_optimizer(cls, optimizer: dict[str, Any]) -> dict[str, Any]:
        check_optimizer(optimizer)
        return optimizer


def build_network(node: dict[str, Any], num_classes: int, channels: int, image_size: int) -> nn.Module:
    """Build the network that the `_target_` of `node` names, with the node's other keys as arguments.

    An argument with a `_target_` of its own is built first.
    """
    build = instantiate(node, _partial_=True, _convert_="all")
    network = build(num_classes=num_classes, channels=channels, image_size=image_size)
    assert isinstance(network, nn.Module), f"classifier.network._target_ builds a {type(network).__name__}"
    return network
