"""balance=dcgan: small classes are filled with generated images."""

from typing import ClassVar

from fer_experiments.balance.inject import Inject
from fer_experiments.data.faults import Fault
from fer_experiments.data.injection import GENERATED, Origin
from fer_experiments.strict_config import UserPath


class Generate(Inject):
    """Generated images are added to the training images.

    Attributes:
        reject: the faults for which a generated image is dropped and another one drawn.
        synthetic: a folder of generated images; None: a GAN makes them.
    """

    origin: ClassVar[Origin] = GENERATED
    reject: list[Fault]
    synthetic: UserPath | None

    @property
    def needs_generated_images(self) -> bool:
        return self.synthetic is None and self.add != 0
