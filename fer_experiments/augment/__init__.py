"""Image augmentation of whole batches, drawn for each image: a file for each option of conf/augment/, and mixing.

The options are imported before torch is, when a configuration is checked; what they compute is in geometry.py,
pixels.py and torchvision.
"""

from fer_experiments.augment.base import Augment
from fer_experiments.augment.crop_flip import CropFlip
from fer_experiments.augment.none import NoAugment
from fer_experiments.augment.randaugment import RandAugment
from fer_experiments.augment.strong import Strong
from fer_experiments.augment.traditional import Traditional
from fer_experiments.augment.trivialaugment import TrivialAugment

__all__ = ["Augment", "CropFlip", "NoAugment", "RandAugment", "Strong", "Traditional", "TrivialAugment"]
