"""KID of a GAN's images against real ones while it trains."""

from typing import Any

import lightning
import numpy as np
from torch import Tensor, nn

from fer_experiments.audit.class_images import GENERATED, NO_IMAGES, VALID, ClassImages
from fer_experiments.audit.feature_extractor import FeatureExtractor
from fer_experiments.data.prepared import PreparedData
from fer_experiments.evaluation.generated.kid import kernel_inception_distance
from fer_experiments.gan import GeneratorConfig
from fer_experiments.gan.history import log_values
from fer_experiments.gan.sampling import sample
from fer_experiments.train.gan.selection import check_validation_images

FIRST_LATENT_SEED = 10**6  # of seeds from which no training image is generated
SAMPLES = 200  # of each class


class KIDToValidation:
    """KID of SAMPLES generated images of each class against its real validation images."""

    def __init__(
        self, gan: GeneratorConfig, data: PreparedData, extractor: FeatureExtractor, classes: list[str]
    ) -> None:
        """Compute the features of the real images. Raises ConfigError if a class has too few validation images."""
        self.gan, self.data, self.extractor, self.classes = gan, data, extractor, classes
        check_validation_images(gan, data, classes)
        self.real = {label: self._features(label, VALID, NO_IMAGES) for label in classes}

    def __call__(self, generator: nn.Module) -> dict[str, float]:
        """Return {class: KID}. generator: as gan/sampling.py takes it."""
        seeds = range(FIRST_LATENT_SEED, FIRST_LATENT_SEED + SAMPLES)
        distances = {}
        for place, label in enumerate(self.classes):
            label_index = place if self.gan.conditional else None
            images = sample(generator, seeds, self.data.source.stored_channels, label_index)
            features = self._features(label, GENERATED, images)
            distances[label] = kernel_inception_distance(self.real[label], features).value
        return distances

    def _features(self, label: str, part: str, images: np.ndarray) -> Tensor:
        class_images = ClassImages(self.data, label, images)
        return class_images.map(part, self.extractor.image_size, self.extractor.features)


class TrackKID(lightning.Callback):
    """Measure KID every so many epochs and after the last; log gan/kid, the mean over classes, and gan/kid/CLASS."""

    def __init__(self, distance: KIDToValidation, every: int) -> None:
        self.distance, self.every = distance, every

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every and epoch != trainer.max_epochs:
            return
        module: Any = pl_module
        distances = trainer.strategy.broadcast(self.distance(module))  # all ranks take the same for the best
        mean = sum(distances.values()) / len(distances)
        values = {"gan/kid": mean, **{f"gan/kid/{label}": value for label, value in distances.items()}}
        module.history[-1] |= values
        log_values(module, values)
