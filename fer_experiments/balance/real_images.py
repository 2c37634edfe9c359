"""balance=real_images: the ceiling, as many more real images as a GAN would add."""

from typing import ClassVar

from fer_experiments.balance.inject import Inject
from fer_experiments.data.injection import ADDED_REAL, Origin


class RealImages(Inject):
    """Real images that the split leaves unused are added to the training images.

    No generator that saw the training images alone can be expected to make better ones.
    """

    is_control: ClassVar[bool] = True
    origin: ClassVar[Origin] = ADDED_REAL
