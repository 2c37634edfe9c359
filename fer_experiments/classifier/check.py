"""Checks of conf/classifier/ that need torch: whether a network and an optimizer can be built from it."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from fer_experiments.classifier.config import ClassifierConfig
from fer_experiments.classifier.recipe import build_optimizer, build_schedule
from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import check_signature


def explain_wrong_parts(group: str, config: ClassifierConfig, channels: int) -> Iterator[str]:
    """Say of the network and of the optimizer why it can't be built: "classifier.network={...}: ...".

    group: the key of the configuration, classifier or reference_classifier; channels: of the images.
    """
    checks = {
        "network": partial(_check_network, f"{group}.network", config, channels),
        "optimizer": partial(_check_optimizer, f"{group}.optimizer", config.optimizer),
        "schedule": partial(_check_schedule, f"{group}.schedule", config.schedule),
    }
    for key, check in checks.items():
        try:
            check()
        except ConfigError as error:
            yield str(error)
        except Exception as error:  # torch, and a user's network or optimizer, raise anything
            yield f"{group}.{key}={getattr(config, key)}: {error}"


def build_without_memory(config: ClassifierConfig, channels: int) -> nn.Module:
    """Build the network for two classes on the meta device, without random draws."""
    with torch.device("meta"):
        return config.build_network(2, channels)


def _check_network(key: str, config: ClassifierConfig, channels: int) -> None:
    check_signature(key, config.network, "num_classes", "channels", "image_size")
    build_without_memory(config, channels)


def _check_optimizer(key: str, node: Mapping[str, Any]) -> None:
    """Build the optimizer of `node` for two parameters. Raises ValueError if that fails or builds something else."""
    check_signature(key, node, "params", "lr")
    parameters = [nn.Parameter(torch.zeros(shape)) for shape in ((2, 2), (2,))]
    try:
        optimizer = build_optimizer(node, 1e-3, parameters)
    except Exception as error:
        raise ValueError(f"{error}; conf/classifier/ has optimizers that work") from None
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"_target_ builds a {type(optimizer).__name__}; give a torch.optim.Optimizer")


def _check_schedule(key: str, schedule: str | Mapping[str, Any] | None) -> None:
    """Build a schedule that has a `_target_`. Raises ValueError if that fails or builds something else."""
    if not isinstance(schedule, Mapping):
        return
    check_signature(key, schedule, "optimizer")
    built = build_schedule(schedule, torch.optim.SGD([nn.Parameter(torch.zeros(1))], 1e-3), 100)
    if not isinstance(built, LRScheduler) or isinstance(built, ReduceLROnPlateau):
        raise ValueError(
            f"_target_ builds a {type(built).__name__}; give a schedule of torch.optim.lr_scheduler that takes a step "
            "after each batch and needs no metric"
        )
