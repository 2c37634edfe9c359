"""A moving average of the generator's weights, which makes steadier images than the weights themselves."""

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from fer_experiments.gan.networks import Generator

RAMP = 0.05  # the half-life is at most this fraction of the images so far


def compute_decay(batch_size: int, images_seen: int, half_life: float) -> float:
    """Return 0.5^(batch_size / min(half_life, 0.05 images_seen)), the decay of the average in one step.

    images_seen includes the images of this step. The ramp (Karras et al. 2020, StyleGAN2-ADA) lets the average
    forget the initial weights: in a training of 4,000 steps a fixed decay of 0.9999 would keep 68% of them.
    """
    return 0.5 ** (batch_size / min(half_life, RAMP * images_seen))


def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    """average <- decay average + (1 - decay) network, in place; buffers (BatchNorm's statistics) are copied."""
    get_ema_multi_avg_fn(decay)([*average.parameters()], [*network.parameters()], 0)
    for average_buffer, buffer in zip(average.buffers(), network.buffers(), strict=True):
        average_buffer.copy_(buffer)


class AveragedGenerator(nn.Module):
    """A module that trains `generator` and keeps a moving average of its weights in `average`.

    ema: the half-life of the average in images; None if there is no average.
    """

    generator: Generator
    average: Generator | None
    ema: int | None

    def start_average(self, ema: int | None) -> None:
        """Begin the average at the present weights, with the half-life `ema`; None: no average."""
        self.ema = ema
        self.average = None if ema is None else deepcopy(self.generator).requires_grad_(False)

    @property
    def sampler(self) -> Generator:
        """The generator whose images are used: the average, if there is one."""
        return self.generator if self.average is None else self.average

    def sample(self, labels: Tensor | None, seeds: Sequence[int]) -> Tensor:
        """Generate an image for each seed with the `sampler`, as Generator.sample."""
        return self.sampler.sample(labels, seeds)

    def follow_generator(self, batch_size: int, images_seen: int) -> None:
        """Update the average after a step on `batch_size` images, which images_seen includes."""
        if self.average is not None and self.ema is not None:
            update_average(self.average, self.generator, compute_decay(batch_size, images_seen, self.ema))


def has_finite_weights(network: nn.Module) -> bool:
    """Return whether all weights of the network are finite."""
    return bool(torch.stack([parameter.isfinite().all() for parameter in network.parameters()]).all())
