"""balance=dcgan, balance=diffusion: small classes are filled with generated images."""

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field, model_validator

from fer_experiments.balance.inject import Inject
from fer_experiments.data.faults import Fault
from fer_experiments.data.injection import GENERATED, Origin
from fer_experiments.strict_config import UserPath


class InjectGenerated(Inject):
    """Generated images are added to the training images; a subclass says where they come from.

    Attributes:
        reject: the faults for which a generated image is dropped and another one taken.
    """

    origin: ClassVar[Origin] = GENERATED
    reject: list[Fault]


class Generate(InjectGenerated):
    """A generator of conf/gan/ makes the images.

    Attributes:
        synthetic: a folder of images that it has made; None: it makes them first.
        gan: the generator, by the name of its file in conf/gan/; None: the run's own.
        distinct: how many different images of a class there are at most; if more are added, they are repeated.
    """

    synthetic: UserPath | None
    gan: str | None
    distinct: Annotated[int, Field(ge=1)] | None

    @property
    def needs_generated_images(self) -> bool:
        return self.synthetic is None and self.add != 0

    def count_generated(self, labels: np.ndarray, seed: int) -> dict[str, int]:
        return self.limit(super().count_generated(labels, seed))

    def limit(self, counts: dict[str, int]) -> dict[str, int]:
        """Return counts = {class: added images} with at most `distinct` of each class."""
        return {label: min(count, self.distinct or count) for label, count in counts.items()}

    @model_validator(mode="after")
    def _check_images_have_one_source(self) -> "Generate":
        if self.gan is not None and self.synthetic is not None:
            raise ValueError(
                f"gan={self.gan}: the images are those of balance.synthetic={self.synthetic}; use balance.gan=null, or "
                "balance.synthetic=null"
            )
        return self
