"""The adversarial pair as a LightningModule with manual optimization."""

from typing import Any

import lightning
import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from fer_experiments.errors import NonFiniteError
from fer_experiments.gan.losses import GENERATOR_LOSSES
from fer_experiments.gan.networks import Discriminator, Generator
from fer_experiments.gan.step import METRICS, adversarial_step

STEPS_BETWEEN_LOGS = 50  # a log call costs as much as a framework step; gathered, it is free


class DCGAN(lightning.LightningModule):
    """Generator and discriminator trained in turn on batches (images (B, C, S, S) in [0, 1], labels).

    `provenance` (class, split hash, stored channels, ...) travels in the checkpoint. `global_step` counts both
    optimizers: 2 a batch.
    """

    def __init__(
        self,
        *,
        latent_dim: int,
        width: int,
        channels: int,
        image_size: int,
        discriminator_outputs: int,
        loss: str,
        learning_rate: float,
        betas: list[float],
        provenance: dict[str, Any],
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.generator = Generator(latent_dim, width, channels, image_size)
        self.discriminator = Discriminator(width, channels, image_size, discriminator_outputs)
        self.to(memory_format=torch.channels_last)
        self.generator_loss = GENERATOR_LOSSES[loss]
        self.learning_rate, self.betas = learning_rate, betas
        self._gathered: list[Tensor] = []
        self.history: list[dict[str, float]] = []

    def configure_optimizers(self) -> list[Optimizer]:
        betas = (self.betas[0], self.betas[1])
        return [
            Adam(network.parameters(), self.learning_rate, betas, fused=True)
            for network in (self.generator, self.discriminator)
        ]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._gathered.append(self.step(*batch))
        if len(self._gathered) >= STEPS_BETWEEN_LOGS:
            self._write()

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """One update of each network on images in [0, 1]; labels are not used. Returns adversarial_step's METRICS."""
        real = images * 2 - 1
        z = torch.randn(len(real), self.generator.latent_dim, device=real.device, dtype=real.dtype)
        pair: Any = self.optimizers()
        return adversarial_step(
            self.generator, self.discriminator, pair, real, z, self.generator_loss, self.manual_backward
        )

    def on_train_epoch_end(self) -> None:
        self._write()
        # The last update of the epoch shows in no loss yet. Runs before the checkpoint is written, which so stays good.
        if not torch.stack([parameter.isfinite().all() for parameter in self.parameters()]).all():
            self._stop("a weight")

    def _write(self) -> None:
        if not self._gathered:
            return
        means = torch.stack(self._gathered).mean(0)
        self._gathered.clear()
        if not means.isfinite().all():
            self._stop("a loss")
        row = {f"gan/{name}": value for name, value in zip(METRICS, means.tolist(), strict=True)}
        step = self.global_step // 2
        self.history.append({"step": step, "epoch": self.current_epoch + 1, **row})
        if self.logger is not None:
            self.logger.log_metrics({**row, "epoch": self.current_epoch + 1}, step=step)

    def _stop(self, what: str) -> None:
        raise NonFiniteError(
            f"{what} of the GAN is not finite in epoch {self.current_epoch + 1}; checkpoints/last.ckpt holds the last "
            "good state, if one was due (gan.checkpoint_every). Try a smaller gan.learning_rate "
            f"(now {self.learning_rate}) or trainer.precision=32-true"
        )
