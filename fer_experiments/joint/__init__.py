"""GAN and classifier in one training: trunk with two heads, or a classifier that a GAN feeds while both learn."""

from fer_experiments.joint.config import JointConfig

__all__ = ["JointConfig"]
