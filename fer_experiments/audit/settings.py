"""The settings on which the audits of a run depend."""

from dataclasses import dataclass

from fer_experiments.classifier import ClassifierConfig
from fer_experiments.encoder import Encoder
from fer_experiments.trainer import TrainerConfig


@dataclass(frozen=True)
class AuditSettings:
    """The parts of a run's configuration that its audits use.

    Attributes:
        reference_classifier: the network and the training of the classifier that measures generated images.
        trainer: the device and the precision of its training.
        classifier_image_size: the side of the images that the run's own classifiers see, in pixels.
        gan_image_size: the side of the images that the run's GAN makes, in pixels.
        encoder: the network in whose features images are compared.
        seed: the seed of the run.
    """

    reference_classifier: ClassifierConfig
    trainer: TrainerConfig
    classifier_image_size: int
    gan_image_size: int
    encoder: Encoder
    seed: int
