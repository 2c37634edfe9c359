"""Parts of a training recipe: optimizer, learning rate schedule, and predictions averaged over flipped images."""

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

from fer_experiments.classifier.config import Schedule

WARM_UP, MILESTONES, DECAY = 0.025, (0.8, 0.9), 0.01  # of multi_step; the first two are fractions of the training


def build_optimizer(node: Mapping[str, Any], learning_rate: float, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """Build the optimizer that the `_target_` of `node` names, with the node's other keys as arguments.

    Only weights decay; biases and the parameters of normalisation layers do not ("no bias decay", He et al. 2019, Bag
    of tricks for image classification, section 3.1).
    """
    parameters = list(parameters)
    decaying, constant = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": decaying}, {"params": constant, "weight_decay": 0.0}]
    build = instantiate(dict(node), _partial_=True, _convert_="all")
    return build(params=[group for group in groups if group["params"]], lr=learning_rate)


def build_schedule(schedule: Schedule | Mapping[str, Any], optimizer: Optimizer, steps: int) -> LRScheduler:
    """Build the learning rate schedule of a training of `steps` steps; call its step() after each optimizer step.

    A mapping has the `_target_` of any class of schedules, and its arguments but for the optimizer.
    one_cycle rises to the optimizer's rate in 30% of the steps and then falls to almost zero (Smith and Topin 2018);
    betas and momentum stay as configured, although OneCycleLR would vary them. cosine only falls, to zero after the
    last step (Loshchilov and Hutter 2017). multi_step rises linearly to the optimizer's rate in the first WARM_UP of
    the steps, and is multiplied by DECAY at each of the MILESTONES (Cao et al. 2019: of 200 epochs the first 5, and
    epochs 160 and 180).
    """
    if isinstance(schedule, Mapping):
        build = instantiate(dict(schedule), _partial_=True, _convert_="all")
        return build(optimizer)
    if schedule == "multi_step":
        return LambdaLR(optimizer, partial(_multi_step_factor, steps=steps))
    if schedule == "cosine":
        return CosineAnnealingLR(optimizer, steps)
    return OneCycleLR(optimizer, optimizer.defaults["lr"], steps, cycle_momentum=False)


def _multi_step_factor(step: int, steps: int) -> float:
    """Return the factor of the learning rate in a step, counted from 0."""
    return min(1.0, (step + 1) / (WARM_UP * steps)) * DECAY ** sum(step >= place * steps for place in MILESTONES)


def flip_averaged_logits(network: nn.Module, images: Tensor) -> Tensor:
    """images (B, C, S, S) -> logits (B, K) whose softmax is the mean over each image and its mirror image.

    Probabilities are averaged, not logits: Simonyan and Zisserman 2015, section 3.2.
    """
    plain, flipped = (network(batch).log_softmax(1) for batch in (images, images.flip(-1)))
    return torch.logaddexp(plain, flipped) - math.log(2)
