"""How images are added to the training images of a classifier; data/samplers.py composes the batches."""

from dataclasses import dataclass
from typing import Literal

Origin = Literal["generated", "interpolated", "copied", "added_real"]
GENERATED: Origin = "generated"  # by a GAN
INTERPOLATED: Origin = "interpolated"  # from training images
COPIED: Origin = "copied"  # training images once more
ADDED_REAL: Origin = "added_real"  # real images of the source that the split leaves unused
ORIGIN_TITLES: dict[Origin, str] = {
    GENERATED: "generated",
    INTERPOLATED: "interpolated",
    COPIED: "copied",
    ADDED_REAL: "more real",
}
"""What the images of each origin are called in logs and reports."""


@dataclass(frozen=True)
class Injection:
    """How images are added to the training of a classifier.

    Attributes:
        origin: where the added images come from.
        generated_fraction: the share of added images in each batch, in (0, 1); None: their share of all images.
        weight: of an added image in the loss; a training image has 1.
        pretrain_fraction: the share of the training, from its start, in which all images are added ones; in the rest
            none is.
    """

    origin: Origin = GENERATED
    generated_fraction: float | None = None
    weight: float = 1.0
    pretrain_fraction: float = 0.0

    @property
    def composes_batches(self) -> bool:
        """Whether batches have fixed numbers of both kinds of images, instead of being drawn from all alike."""
        return self.generated_fraction is not None or self.pretrain_fraction > 0
