"""Gradient clipping, for automatic and manual optimization alike."""

from typing import Literal

import lightning
from torch import nn
from torch.optim import Optimizer


class GradientClipping(lightning.Callback):
    """Clip the gradients of each optimizer's weights before its step.

    Lightning's own clipping refuses modules with manual optimization and, as does LightningModule.clip_gradients, fused
    optimizers under bf16-mixed: because of a gradient scaler, which this precision does not have.
    """

    def __init__(self, value: float, algorithm: Literal["norm", "value"]) -> None:
        """value: the largest norm of all gradients together ("norm"), or the largest size of each entry ("value")."""
        self.value, self.algorithm = value, algorithm

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, optimizer: Optimizer
    ) -> None:
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        if self.algorithm == "norm":
            nn.utils.clip_grad_norm_(weights, self.value)
        else:
            nn.utils.clip_grad_value_(weights, self.value)
