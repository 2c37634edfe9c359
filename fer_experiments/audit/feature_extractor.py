"""The features in which images are compared."""

from lightning.pytorch.utilities.seed import isolate_rng

from fer_experiments.audit.reference_classifier import ReferenceClassifier
from fer_experiments.audit.settings import AuditSettings
from fer_experiments.encoder import FeatureExtractor


@isolate_rng()  # it is built once in a process, and what is drawn next may not depend on when
def build_feature_extractor(settings: AuditSettings, reference: ReferenceClassifier) -> FeatureExtractor:
    """Return the network that `encoder` chooses, or the reference classifier. Raises ConfigError as Encoder.build."""
    return settings.encoder.build(settings.gan_image_size, settings.trainer.first_device) or reference
