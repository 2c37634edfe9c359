"""The LeCam regularizer of the discriminator for training on few images (Tseng et al. 2021)."""

import torch
from torch import Tensor, nn

DECAY = 0.99  # of the moving averages in each step (Tseng et al. 2021, section 3.2)


class LeCam(nn.Module):
    """Keep D's logits on real images near their moving average on generated ones, and the reverse.

    Attributes:
        real, generated: moving averages of D's mean logits, scalars, kept in checkpoints as `steps` is. On several
            devices DDP gives all of them those of the first.
    """

    real: Tensor
    generated: Tensor
    steps: Tensor

    def __init__(self, weight: float) -> None:
        """weight: of the regularizer in the discriminator's loss."""
        super().__init__()
        self.weight = weight
        for name in ("real", "generated", "steps"):
            self.register_buffer(name, torch.zeros(()))

    def forward(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Update the averages; return weight (E[(D(x) - generated)^2] + E[(D(G(z)) - real)^2]), a scalar.

        real_logits, fake_logits: (B, 1). Source: Tseng et al. 2021, section 3.2, whose code also sets to zero the
        differences of logits on real images below the average and of generated ones above it.
        """
        self.steps += 1
        rate = torch.clamp(1 / self.steps, min=1 - DECAY)  # at first the mean of all steps so far
        self.real.lerp_(real_logits.detach().float().mean(), rate)
        self.generated.lerp_(fake_logits.detach().float().mean(), rate)
        to_generated = (real_logits - self.generated).square().mean()
        to_real = (fake_logits - self.real).square().mean()
        return self.weight * (to_generated + to_real)
