"""balance=copies: the control in which repeated training images go the way of generated ones."""

from typing import ClassVar

from fer_experiments.balance.inject import Inject
from fer_experiments.data.injection import COPIED, Origin


class Copies(Inject):
    """Copies of training images, at the size of a GAN's images, are added as generated images would be.

    Against balance=oversample it shows what the size and the way of adding do; generated images that do no better than
    copies add nothing new.
    """

    origin: ClassVar[Origin] = COPIED
