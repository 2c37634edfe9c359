"""The moving average of the generator's weights, which makes steadier images than the weights themselves."""

from copy import deepcopy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from fer_experiments.gan.networks import Generator

RAMP = 0.05  # the half-life is no more than this share of the images seen


def decay(batch: int, images_seen: int, half_life: float) -> float:
    """0.5^(batch / min(half_life, 0.05 images_seen)) for a step of `batch` images, counted in `images_seen` already.

    The ramp (Karras et al. 2020, StyleGAN2-ADA) lets the first weights be forgotten: in a training of 4,000 steps a
    fixed decay of 0.9999 would keep 68 % of them.
    """
    return 0.5 ** (batch / min(half_life, RAMP * images_seen))


def update_average(average: nn.Module, network: nn.Module, kept: float) -> None:
    """average <- kept average + (1 - kept) network, in place; buffers (BatchNorm's statistics) are copied."""
    get_ema_multi_avg_fn(kept)([*average.parameters()], [*network.parameters()], 0)
    for mine, other in zip(average.buffers(), network.buffers(), strict=True):
        mine.copy_(other)


class AveragedGenerator(nn.Module):
    """Of a module that trains `generator`: its average, where it has a half-life `ema`, and which of both counts."""

    generator: Generator
    average: Generator | None
    ema: int | None

    def start_average(self, ema: int | None) -> None:
        self.ema = ema
        self.average = None if ema is None else deepcopy(self.generator).requires_grad_(False)

    @property
    def sampler(self) -> Generator:
        """The generator whose images count: the average, where there is one."""
        return self.generator if self.average is None else self.average

    def follow_generator(self, batch: int, images_seen: int) -> None:
        """After a step of `batch` images, counted in `images_seen` already.

        Not in the step itself: the decay changes from step to step, where a CUDA graph would keep the first.
        """
        if self.average is not None and self.ema is not None:
            update_average(self.average, self.generator, decay(batch, images_seen, self.ema))


def all_finite(network: nn.Module) -> bool:
    """Of its weights."""
    return bool(torch.stack([parameter.isfinite().all() for parameter in network.parameters()]).all())
