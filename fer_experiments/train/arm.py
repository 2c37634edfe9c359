"""What a classifier is trained under."""

from dataclasses import dataclass

from fer_experiments.augment import Augment
from fer_experiments.balance import Strategy
from fer_experiments.evaluation.arms import ArmName
from fer_experiments.joint import JointConfig


@dataclass(frozen=True)
class Arm:
    """A named combination of a balancing strategy and an augmentation.

    joint: of a strategy that trains a GAN along, else None; leak: with test images where none must be.
    """

    name: str
    balance: Strategy
    augment: Augment
    joint: JointConfig | None = None
    leak: bool = False

    @property
    def folder(self) -> str:
        return ArmName.parse(self.name).folder
