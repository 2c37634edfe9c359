"""What conf/classifier/ configures."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from torch import nn

from fer_experiments.augment import Mixing
from fer_experiments.classifier.recipe import Schedule, check_optimizer
from fer_experiments.spec import Spec, call, check_call


class ClassifierConfig(Spec):
    """network: a `_target_` that takes num_classes, channels and image_size, and its other keys.

    optimizer: likewise one that takes params and lr, which is learning_rate; ema: the decay of a step; mixup: alpha;
    checkpoint_every: epochs, of no account for the judge, which is trained in one go.
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
    mirror_test: bool
    select: Literal["best", "last"]
    checkpoint_every: Annotated[int, Field(ge=1)]

    def build_network(self, num_classes: int, channels: int) -> nn.Module:
        """A new network. Raises what the network raises for values that it can't take."""
        network = call(self.network, num_classes=num_classes, channels=channels, image_size=self.image_size)
        assert isinstance(network, nn.Module), f"classifier.network._target_ made a {type(network)}"
        return network

    def mixing(self) -> Mixing | None:
        """Of the recipe, for arms whose strategy has none of its own."""
        return None if self.mixup is None else Mixing(self.mixup)

    @field_validator("network")
    @classmethod
    def _buildable(cls, network: dict[str, Any]) -> dict[str, Any]:
        check_call("network", network, "num_classes", "channels", "image_size")
        return network

    @field_validator("optimizer")
    @classmethod
    def _usable(cls, optimizer: dict[str, Any]) -> dict[str, Any]:
        check_optimizer(optimizer)
        return optimizer
