"""balance=external: small classes are filled with images that a generator of any kind has left in a folder."""

from typing import Annotated

from pydantic import Field

from fer_experiments.balance.generate import InjectGenerated
from fer_experiments.strict_config import UserPath


class External(InjectGenerated):
    """Images of a folder CLASS/*.png or *.jpg, of any size and without a manifest, are added to the training images.

    What their generator has seen is not known, so they are compared with held-out, validation and test images first.

    Attributes:
        synthetic: the folder.
        trust: whether they are used even if they are copies of images that the generator must not have seen.
        name: what an arm with these images is called; None: external.
    """

    synthetic: UserPath
    trust: bool
    name: Annotated[str, Field(pattern=r"^[^\s\[\]@+,=]+$")] | None
