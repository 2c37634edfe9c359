"""DiffAugment with a probability that rises while the discriminator overfits (Karras et al. 2020, StyleGAN2-ADA)."""

import torch
from torch import Tensor, nn

from fer_experiments.gan.config import parse_policy
from fer_experiments.gan.diffaugment import AUGMENTATIONS

RISE = 0.25  # of the training: the shortest time in which the probability rises from 0 to 1


class AdaptiveAugmentation(nn.Module):
    """Each augmentation of the policy changes each image with a probability that is adapted to the discriminator.

    Attributes:
        probability: a scalar in [0, 1], at first 0; it is kept in checkpoints.
    """

    probability: Tensor

    def __init__(self, policy: str, target: float) -> None:
        """policy: gan.diffaugment; target: of the mean sign of D's logits on real images, see `adapt`."""
        super().__init__()
        self.names, self.target = parse_policy(policy), target
        self.register_buffer("probability", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        """images (B, C, S, S) in [-1, 1] -> as many of the same shape, differentiable."""
        for name in self.names:
            is_chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < self.probability
            images = torch.where(is_chosen, AUGMENTATIONS[name](images), images)
        return images

    def adapt(self, sign_real: Tensor, steps: int) -> None:
        """Raise the probability if D is too sure of real images, else lower it.

        Karras et al. 2020 (section 3.1, r_t) change it every four batches by the mean over them, in trainings of 25
        million images from 0 to 1 in 500,000 images; here it changes in every step, and its rate fits the training.

        Args:
            sign_real: E[sign D(x)] of the step's real images, a scalar in [-1, 1].
            steps: how many the whole training has.
        """
        change = torch.sign(sign_real - self.target) / (RISE * steps)
        self.probability.add_(change).clamp_(0.0, 1.0)
