"""Balancing strategies: each plans the training images, the generated images and the loss. None imports a GAN."""

from fer_experiments.balance.adjustment import BalancedSoftmax, LogitAdjustment
from fer_experiments.balance.focal import FocalLoss
from fer_experiments.balance.generate import Generate
from fer_experiments.balance.joint import Joint
from fer_experiments.balance.ldam import LDAM
from fer_experiments.balance.mixing import Mixup, Remix
from fer_experiments.balance.none import NoBalancing
from fer_experiments.balance.resampling import Oversample, Undersample
from fer_experiments.balance.smote import Smote
from fer_experiments.balance.strategy import Strategy, TrainingPlan
from fer_experiments.balance.weighting import ClassBalanced, ClassWeight

__all__ = [
    "LDAM",
    "BalancedSoftmax",
    "ClassBalanced",
    "ClassWeight",
    "FocalLoss",
    "Generate",
    "Joint",
    "LogitAdjustment",
    "Mixup",
    "NoBalancing",
    "Oversample",
    "Remix",
    "Smote",
    "Strategy",
    "TrainingPlan",
    "Undersample",
]
