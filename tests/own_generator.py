"""Generators as a user writes them, for gan=custom."""

from collections.abc import Sequence

import lightning
import torch
from torch import Tensor, nn

from fer_experiments.gan.latents import draw_latents


class MeanImage(lightning.LightningModule):
    """The mean image of each class with noise, which knows nothing of fer_experiments but its arguments."""

    def __init__(self, num_classes: int | None, channels: int, image_size: int, noise: float = 0.1) -> None:
        super().__init__()
        self.shape, self.noise, self.is_conditional = (channels, image_size, image_size), noise, num_classes is not None
        self.means = nn.Parameter(torch.full((num_classes or 1, *self.shape), 0.5))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        return (images - self._means(labels)).square().mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 100.0)

    def sample(self, labels: Tensor | None, seeds: Sequence[int]) -> Tensor:
        noise = draw_latents(seeds, self.means[0].numel()).view(-1, *self.shape)
        means = self._means(torch.zeros(len(seeds), dtype=torch.int64) if labels is None else labels)
        return (means + self.noise * noise).clamp(0, 1)

    def _means(self, labels: Tensor) -> Tensor:
        return self.means[labels if self.is_conditional else torch.zeros_like(labels)]


class Manual(MeanImage):
    """The same with manual optimization, a hyperparameter of its own and no loss that is returned."""

    def __init__(self, num_classes: int | None, channels: int, image_size: int, rate: float = 100.0) -> None:
        super().__init__(num_classes, channels, image_size)
        self.save_hyperparameters()
        self.automatic_optimization = False

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:  # type: ignore[override]
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(super().training_step(batch, batch_idx))
        optimizer.step()


class OutOfRange(MeanImage):
    """A generator whose images are in [-1, 1]."""

    def sample(self, labels: Tensor | None, seeds: Sequence[int]) -> Tensor:
        return super().sample(labels, seeds) * 2 - 1


class Diverging(MeanImage):
    """A generator whose loss is not a number."""

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return super().training_step(batch, batch_idx) * torch.nan
