"""The base of the strategies that add images to the training images, wherever the added images come from."""

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from fer_experiments.balance.sampling import SamplingStrategy, count_images_to_add, repeat_small_classes
from fer_experiments.balance.strategy import Strategy, TrainingPlan, all_indices
from fer_experiments.data.injection import Injection, Origin
from fer_experiments.errors import ConfigError

Count = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
PRETRAIN_FRACTION = 1 / 3  # of the steps, unless generated_fraction gives another


class Inject(Strategy):
    """Images are added to the training images; a subclass says which.

    Attributes:
        origin: where the added images come from.
        sampling_strategy: which classes are filled up to which total; imbalanced-learn's meaning.
        add: how many images to add, whatever the balance. With inject=missing a number is for the smallest class (the
            first by name among equals), and {class: number} for each class; otherwise a number is for every class.
            None: with inject=missing as many as sampling_strategy adds, otherwise as many as the largest class has.
        inject: how the added images are used.
            missing: they fill the small classes (Surono et al. 2023: 820 angry + 80 generated = 900).
            symmetric: every class gets equally many, and real images of the small classes are repeated, so that the
            classifier learns nothing about the class from the fact that an image is generated.
            pretrain: the training begins with equally many added images of every class and continues with the training
            images alone, those of the small classes repeated.
        generated_fraction: how much of each batch are added images; None: in proportion to the numbers of images. With
            inject=pretrain it is the fraction of the steps that use added images; None: PRETRAIN_FRACTION.
        weight: of an added image in the loss; a training image has 1.
    """

    balances_classes: ClassVar[bool] = True
    origin: ClassVar[Origin]
    sampling_strategy: SamplingStrategy
    add: Count | dict[str, Count] | None
    inject: Literal["missing", "symmetric", "pretrain"]
    generated_fraction: Fraction | None
    weight: Annotated[float, Field(gt=0.0)]

    @model_validator(mode="after")
    def _check_combinations(self) -> "Inject":
        if self.inject != "missing" and isinstance(self.add, dict):
            raise ValueError(
                f"add={self.add}: with inject={self.inject} every class gets the same number; give one number"
            )
        if self.inject == "pretrain" and self.weight != 1:
            raise ValueError(
                f"weight={self.weight}: with inject=pretrain no batch has both training images and added ones; leave "
                "it at 1.0"
            )
        return self

    def plan(self, labels: np.ndarray, seed: int) -> TrainingPlan:
        if self.inject == "missing":
            return TrainingPlan(
                all_indices(labels), added=self._count_missing(labels), injection=self._build_injection()
            )
        names, counts = np.unique(labels, return_counts=True)
        assert not isinstance(self.add, dict), "_check_combinations refuses it"
        number = int(counts.max()) if self.add is None else self.add
        return TrainingPlan(
            repeat_small_classes(self.sampling_strategy, labels, seed),
            added={str(name): number for name in names if number},
            injection=self._build_injection(),
        )

    def _build_injection(self) -> Injection:
        if self.inject == "pretrain":
            return Injection(self.origin, pretrain_fraction=self.generated_fraction or PRETRAIN_FRACTION)
        return Injection(self.origin, generated_fraction=self.generated_fraction, weight=self.weight)

    def _count_missing(self, labels: np.ndarray) -> dict[str, int]:
        """Return {class: images to add} for inject=missing. Raises ConfigError for a class that is unknown."""
        if self.add is None:
            return count_images_to_add(self.sampling_strategy, labels)
        names, counts = np.unique(labels, return_counts=True)
        numbers = self.add if isinstance(self.add, dict) else {str(names[counts.argmin()]): self.add}
        unknown = sorted(set(numbers) - set(names.tolist()))
        if unknown:
            raise ConfigError(
                f"balance.add={self.add}: there is no class {', '.join(unknown)}; the classes are "
                f"{', '.join(names.tolist())}"
            )
        return {name: number for name, number in numbers.items() if number > 0}
