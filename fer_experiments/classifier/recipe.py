"""How a classifier is trained and asked: optimizer, schedule of the learning rate, mirrored images."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from fer_experiments.spec import call, check_call

Schedule = Literal["one_cycle", "cosine"]


def build_optimizer(node: Mapping[str, Any], learning_rate: float, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The `_target_` of node with its other keys. Only weights decay, not biases nor what normalisation learns.

    "No bias decay", He et al. 2019, Bag of tricks for image classification, section 3.1.
    """
    every = list(parameters)
    weights, others = [p for p in every if p.ndim > 1], [p for p in every if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
    return call(node, params=[group for group in groups if group["params"]], lr=learning_rate)


def check_optimizer(node: Mapping[str, Any]) -> None:
    """Build it for two parameters. Raises ConfigError or ValueError for what can't be built or is no optimizer."""
    check_call("optimizer", node, "params", "lr")
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in ((2, 2), (2,))]
    try:
        optimizer = build_optimizer(node, 1e-3, parameters)
    except Exception as error:  # torch and a user's optimizer raise anything
        raise ValueError(f"{error}; conf/classifier/ has optimizers that work") from None
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"_target_ makes a {type(optimizer).__name__}; give a torch.optim.Optimizer")


def build_schedule(name: Schedule, optimizer: Optimizer, steps: int) -> LRScheduler:
    """The learning rate over `steps` steps; its step() follows each of the optimizer's.

    one_cycle rises to the optimizer's rate in 30 % of them and falls to next to nothing (Smith and Topin 2018); the
    betas and momentum stay the configured ones, which OneCycleLR would otherwise replace. cosine only falls, to zero
    after the last step (Loshchilov and Hutter 2017).
    """
    if name == "cosine":
        return CosineAnnealingLR(optimizer, steps)
    return OneCycleLR(optimizer, optimizer.defaults["lr"], steps, cycle_momentum=False)


def mirrored_logits(network: nn.Module, images: Tensor) -> Tensor:
    """images (B, C, S, S) -> logits (B, K) whose softmax is the mean of an image's and its mirror image's.

    Probabilities are averaged, not logits: Simonyan and Zisserman 2015, section 3.2.
    """
    plain, mirrored = (network(seen).log_softmax(1) for seen in (images, images.flip(-1)))
    return torch.logaddexp(plain, mirrored) - math.log(2)
