"""The features in which images are compared."""

from typing import Protocol

from torch import Tensor

from fer_experiments.audit.inception import Inception
from fer_experiments.audit.reference_classifier import ReferenceClassifier
from fer_experiments.audit.settings import AuditSettings


class FeatureExtractor(Protocol):
    """A network that maps images (N, C, S, S) uint8, S being image_size, to features (N, D)."""

    @property
    def image_size(self) -> int: ...

    def features(self, images: Tensor) -> Tensor: ...


def build_feature_extractor(settings: AuditSettings, reference: ReferenceClassifier) -> FeatureExtractor:
    """Return the reference classifier, or InceptionV3 if its weights are given as gan.inception."""
    if settings.inception is None:
        return reference
    return Inception(settings.inception, settings.gan_image_size)
