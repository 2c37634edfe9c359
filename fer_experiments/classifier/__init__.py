"""The classifier: its configuration, networks, training step and LightningModule."""

from fer_experiments.classifier.config import ClassifierConfig

__all__ = ["ClassifierConfig"]
