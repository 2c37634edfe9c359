"""The contract of every balancing strategy: one method, `plan`.

Strategies compute with numpy. What needs torch, losses and mixing, is imported inside `plan`, so that a configuration
is checked before torch is imported.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fer_experiments.data.injection import GENERATED, Injection, Origin
from fer_experiments.strict_config import StrictConfig

if TYPE_CHECKING:
    from fer_experiments.augment.mixing import Mixing
    from fer_experiments.balance.objective import Objective


def _build_cross_entropy() -> "Objective":
    from fer_experiments.balance.objective import Objective

    return Objective()


@dataclass(frozen=True)
class TrainingPlan:
    """What the classifier is trained on, and what it minimizes.

    Attributes:
        indices: of the images in the training part, with repeats.
        added: {class: number of images that are added to them}.
        injection: where the added images come from, and how they reach the batches.
        objective: the loss and the weights of the classes.
        mixing: of pairs of images in each batch; None: as classifier.mixup says.
        cosine_head: the scale of the cosines that replace the network's last layer; None: the layer stays.
    """

    indices: np.ndarray
    added: dict[str, int] = field(default_factory=dict)
    injection: Injection = field(default_factory=Injection)
    objective: "Objective" = field(default_factory=_build_cross_entropy)
    mixing: "Mixing | None" = None
    cosine_head: float | None = None

    def added_from(self, origin: Origin) -> dict[str, int]:
        """Return {class: number of added images} of this origin."""
        return self.added if self.injection.origin == origin else {}


class Strategy(StrictConfig, ABC):
    """The base of all strategies."""

    keeps_all_images: ClassVar[bool] = True
    """Whether every real image is used."""
    balances_classes: ClassVar[bool] = False
    """Whether all classes have the same weight at the end: images in an epoch times their weight in the loss."""
    is_control: ClassVar[bool] = False
    """Whether it shows what more or fewer real images do, so that generated images need not beat it."""

    @property
    def needs_generated_images(self) -> bool:
        """Whether a plan may need generated images that a GAN must make first."""
        return False

    @abstractmethod
    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        """Plan for labels (N,), the class names of the training part. The same seed gives the same plan."""

    def count_generated(self, labels: np.ndarray, seed: int) -> dict[str, int]:
        """Return {class: generated images that the plan for labels (N,) uses}, those that it repeats once."""
        return self.plan(labels, seed).added_from(GENERATED)

    def interpolate(self, images: np.ndarray, labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """images (N, S, S, C) uint8, labels (N,) of the training part -> new images (M, S, S, C) uint8, labels (M,).

        There are as many of each class as the plan's `added` says.
        """
        raise NotImplementedError(f"{type(self).__name__} plans no interpolated images")


def count_images_per_class(labels: np.ndarray) -> np.ndarray:
    """labels (N,) of class names -> images per class (K,) float64, in the sorted order of the classes."""
    return np.unique(labels, return_counts=True)[1].astype(np.float64)


def all_indices(labels: np.ndarray) -> np.ndarray:
    """Return the index of every image of the training part once."""
    return np.arange(len(labels))
