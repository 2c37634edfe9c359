"""How generated images are added to the training of a classifier; data/samplers.py composes the batches."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Injection:
    """How generated images are added to the training of a classifier.

    Attributes:
        generated_fraction: the share of generated images in each batch, in (0, 1); None: their share of all images.
        weight: of a generated image in the loss; a real one has 1.
        pretrain_fraction: the share of the training, from its start, in which all images are generated; in the rest
            all are real.
    """

    generated_fraction: float | None = None
    weight: float = 1.0
    pretrain_fraction: float = 0.0

    @property
    def composes_batches(self) -> bool:
        """Whether batches have fixed numbers of real and generated images, instead of being drawn from all alike."""
        return self.generated_fraction is not None or self.pretrain_fraction > 0
