"""The moving average of the generator's weights, which makes steadier images than the weights themselves."""

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

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
