"""GAN and classifier in one training: a trunk with two heads, or a classifier that learns from the images of a GAN."""

from fer_experiments.joint.config import JointConfig

__all__ = ["JointConfig"]
