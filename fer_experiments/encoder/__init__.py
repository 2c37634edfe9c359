"""The network in whose features generated images are compared with real ones."""

from fer_experiments.encoder.base import Encoder, FeatureExtractor
from fer_experiments.encoder.inception import Inception
from fer_experiments.encoder.reference import Reference
from fer_experiments.encoder.timm_network import Timm

__all__ = ["Encoder", "FeatureExtractor", "Inception", "Reference", "Timm"]
