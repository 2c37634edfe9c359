"""What every balancing strategy is: one verb, `plan`."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from fer_experiments.augment import Mixing
from fer_experiments.balance.objective import Objective
from fer_experiments.data.batches import Injection
from fer_experiments.spec import Spec


@dataclass(frozen=True)
class Plan:
    """What the classifier is to be trained on, and for what.

    indices: places in the training part, repeats allowed; generated: {class: images to generate}; injection: how these
    reach the batches; interpolated: {class: images that Strategy.interpolate makes of training images}; mixing: of
    pairs of images in each batch, None where the training recipe may do as it likes; cosine_head: the scale of cosines
    in the place of the network's last layer, None where that stays.
    """

    indices: np.ndarray
    generated: dict[str, int] = field(default_factory=dict)
    injection: Injection = field(default_factory=Injection)
    interpolated: dict[str, int] = field(default_factory=dict)
    objective: Objective = field(default_factory=Objective)
    mixing: Mixing | None = None
    cosine_head: float | None = None


class Strategy(Spec, ABC):
    """One verb, and what it promises. keeps_all: every real image is used; evens: all classes have the same weight in
    the end, places in an epoch times weight in the loss.
    """

    keeps_all: ClassVar[bool] = True
    evens: ClassVar[bool] = False

    @property
    def needs_images(self) -> bool:
        """Whether what it plans may ask for generated images that a GAN has to make first."""
        return False

    @abstractmethod
    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        """labels (N,): class names of the training part. The same seed gives the same plan."""

    def interpolate(self, images: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """images (N, S, S, C) uint8 of the training part, labels (N,) -> images (M, S, S, C) uint8, their labels (M,).

        As many as the plan's `interpolated` says.
        """
        raise NotImplementedError(f"{type(self).__name__} plans no interpolated images")


def class_counts(labels: np.ndarray) -> Tensor:
    """labels (N,) class names -> images of each class (K,) float64, classes in sorted order."""
    return torch.from_numpy(np.unique(labels, return_counts=True)[1]).double()


def all_of(labels: np.ndarray) -> np.ndarray:
    """Every place of the training part once."""
    return np.arange(len(labels))
