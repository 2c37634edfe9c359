"""What a classifier is trained under."""

from dataclasses import dataclass

from fer_experiments.augment import Augment
from fer_experiments.balance import Strategy
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.joint import JointConfig
from fer_experiments.trainer.callbacks.build import CLASSIFIER_METRICS, METRICS


@dataclass(frozen=True)
class Arm:
    """A named combination of a balancing strategy and an augmentation.

    joint: how a GAN is trained together with the classifier; None if none is. leak: test images are used on purpose
    where none must be (data/leak.py).
    """

    name: str
    balance: Strategy
    augment: Augment
    joint: JointConfig | None = None
    leak: bool = False

    @property
    def metrics(self) -> tuple[str, ...]:
        """How the names of its training's metrics begin."""
        return CLASSIFIER_METRICS if self.joint is None else METRICS

    @property
    def folder(self) -> str:
        """The name of the arm's folder."""
        return ArmName.parse(self.name).folder
