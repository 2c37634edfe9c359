"""The features in which images are compared."""

from fer_experiments.audit.reference_classifier import ReferenceClassifier
from fer_experiments.audit.settings import AuditSettings
from fer_experiments.encoder import FeatureExtractor


def build_feature_extractor(settings: AuditSettings, reference: ReferenceClassifier) -> FeatureExtractor:
    """Return the network that `encoder` chooses, or the reference classifier. Raises ConfigError as Encoder.build."""
    device = "cuda" if settings.trainer.uses_cuda else "cpu"
    return settings.encoder.build(settings.gan_image_size, device) or reference
