"""Balancing strategies: each plans the training images, the generated images and the loss. None imports a GAN."""

from fer_experiments.balance.adjustment import BalancedSoftmax, LogitAdjustment
from fer_experiments.balance.copies import Copies
from fer_experiments.balance.external import External
from fer_experiments.balance.fewer_images import FewerImages
from fer_experiments.balance.focal import FocalLoss
from fer_experiments.balance.generate import Generate, InjectGenerated
from fer_experiments.balance.inject import Inject
from fer_experiments.balance.joint import Joint
from fer_experiments.balance.ldam import LDAM
from fer_experiments.balance.mixing import Mixup, Remix
from fer_experiments.balance.none import NoBalancing
from fer_experiments.balance.real_images import RealImages
from fer_experiments.balance.resampling import Oversample, Undersample
from fer_experiments.balance.smote import Smote
from fer_experiments.balance.strategy import Strategy, TrainingPlan
from fer_experiments.balance.weighting import ClassBalanced, ClassWeight

__all__ = [
    "LDAM",
    "BalancedSoftmax",
    "ClassBalanced",
    "ClassWeight",
    "Copies",
    "External",
    "FewerImages",
    "FocalLoss",
    "Generate",
    "Inject",
    "InjectGenerated",
    "Joint",
    "LogitAdjustment",
    "Mixup",
    "NoBalancing",
    "Oversample",
    "RealImages",
    "Remix",
    "Smote",
    "Strategy",
    "TrainingPlan",
    "Undersample",
]
