"""Image augmentation: batched, on the device, drawn for each image. One file an option of conf/augment/."""

from fer_experiments.augment.base import Augment
from fer_experiments.augment.none import NoAugment
from fer_experiments.augment.traditional import Traditional

__all__ = ["Augment", "NoAugment", "Traditional"]
