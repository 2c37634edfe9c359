"""One class a strategy, one verb for all: `plan`."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from fer_experiments.balance.sampling import SamplingStrategy, images_to_add
from fer_experiments.errors import ConfigError
from fer_experiments.spec import Spec, UserPath


@dataclass(frozen=True)
class Plan:
    """What the classifier is to be trained on.

    indices: places in the training part, repeats allowed; generated: {class: images to generate};
    class_weights: (K,) for the cross-entropy, in the sorted order of the classes, or None.
    """

    indices: np.ndarray
    generated: dict[str, int] = field(default_factory=dict)
    class_weights: Tensor | None = None


class Strategy(Spec, ABC):
    """One verb, and whether what it plans may ask for generated images that a GAN has to make first."""

    @property
    def needs_images(self) -> bool:
        return False

    @abstractmethod
    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        """labels (N,): class names of the training part. The same seed gives the same plan."""


class Unchanged(Strategy):
    """The training images as they are."""

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        return Plan(np.arange(len(labels)))


class Oversample(Strategy):
    """Random over-sampling: images of the small classes are repeated, each as evenly often as can be."""

    sampling_strategy: SamplingStrategy

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        rng = np.random.default_rng([seed, 5])
        parts = [np.arange(len(labels))]
        for name, number in sorted(images_to_add(self.sampling_strategy, labels).items()):
            members = rng.permutation(np.flatnonzero(labels == name))
            parts.append(np.resize(members, number))  # all once, then all again, until there are enough
        return Plan(np.concatenate(parts))


class ClassWeight(Strategy):
    """Cross-entropy weighted by w_c = n / (K n_c) (King and Zeng 2001; scikit-learn's "balanced")."""

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        from sklearn.utils.class_weight import compute_class_weight  # a second, which only this strategy needs

        weights = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
        return Plan(np.arange(len(labels)), class_weights=torch.tensor(weights, dtype=torch.float32))


class Generate(Strategy):
    """Generated images fill the small classes (Surono et al. 2023: 820 angry + 80 generated = 900).

    add: so many whatever the balance, of the smallest class (the first by name among equals) or {class: number} of
    each; None: as sampling_strategy says.
    """

    sampling_strategy: SamplingStrategy
    add: Annotated[int, Field(ge=0)] | dict[str, Annotated[int, Field(ge=0)]] | None
    synthetic: UserPath | None

    @property
    def needs_images(self) -> bool:
        return self.synthetic is None and self.add != 0

    def plan(self, labels: np.ndarray, seed: int) -> Plan:
        wanted = images_to_add(self.sampling_strategy, labels) if self.add is None else self._added(labels)
        return Plan(np.arange(len(labels)), generated=wanted)

    def _added(self, labels: np.ndarray) -> dict[str, int]:
        names, counts = np.unique(labels, return_counts=True)
        wanted = self.add if isinstance(self.add, dict) else {str(names[counts.argmin()]): self.add or 0}
        unknown = sorted(set(wanted) - set(names.tolist()))
        if unknown:
            raise ConfigError(
                f"balance.add={self.add}: no class {', '.join(unknown)}; the classes are {', '.join(names.tolist())}"
            )
        return {name: number for name, number in wanted.items() if number > 0}
