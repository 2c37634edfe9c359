"""The classifier: networks and LightningModule."""

from fer_experiments.classifier.config import ClassifierConfig

__all__ = ["ClassifierConfig"]
