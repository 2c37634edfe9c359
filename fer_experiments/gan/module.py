"""The adversarial pair as a LightningModule with manual optimization."""

from functools import partial
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from fer_experiments.errors import NonFiniteError
from fer_experiments.gan.averaging import AveragedGenerator, all_finite
from fer_experiments.gan.diffaugment import diffaugment, mirrored
from fer_experiments.gan.losses import LOSSES
from fer_experiments.gan.networks import Discriminator, Generator, normalisation_of
from fer_experiments.gan.penalties import penalty_of
from fer_experiments.gan.step import METRICS, adversarial_step

STEPS_BETWEEN_LOGS = 50  # a log call costs as much as a framework step; gathered, it is free


class DCGAN(lightning.LightningModule, AveragedGenerator):
    """Generator and discriminator trained in turn on batches (images (B, C, S, S) in [0, 1], labels).

    classes: names, by label, of a conditional GAN; None: labels are not used. r1_gamma: None for no R1. Other keys are
    conf/gan/dcgan.yaml's. `provenance` (class, split hash, stored channels, ...) travels in the checkpoint.
    `global_step` counts both optimizers: 2 a batch.
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
        classes: list[str] | None = None,
        discriminator_learning_rate: float | None = None,
        spectral_norm: bool = False,
        r1_gamma: float | None = None,
        ema: int | None = None,
        diffaugment: str | None = None,
        mirror: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        number = None if classes is None else len(classes)
        norm = normalisation_of(loss, spectral_norm)
        self.generator = Generator(latent_dim, width, channels, image_size, number)
        self.discriminator = Discriminator(width, channels, image_size, discriminator_outputs, number, norm)
        self.to(memory_format=torch.channels_last)
        self.start_average(ema)
        self.classes, self.policy, self.mirror = classes, diffaugment, mirror
        self.loss, self.penalty = LOSSES[loss], penalty_of(loss, r1_gamma)
        self.learning_rate, self.betas = learning_rate, betas
        self.discriminator_learning_rate = discriminator_learning_rate or learning_rate
        self._gathered: list[Tensor] = []
        self.history: list[dict[str, float]] = []

    def configure_optimizers(self) -> list[Optimizer]:
        betas = (self.betas[0], self.betas[1])
        return [
            Adam(self.generator.parameters(), self.learning_rate, betas, fused=True),
            Adam(self.discriminator.parameters(), self.discriminator_learning_rate, betas, fused=True),
        ]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._gathered.append(self.step(*batch))
        size = len(batch[0]) * self.trainer.world_size
        self.follow_generator(size, self.global_step // 2 * size)
        if len(self._gathered) >= STEPS_BETWEEN_LOGS:
            self.write_history()

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """One update of each network on images in [0, 1] of classes (B,). Returns adversarial_step's METRICS."""
        real = images * 2 - 1
        if self.mirror:
            real = mirrored(real)
        z = torch.randn(len(real), self.generator.latent_dim, device=real.device, dtype=real.dtype)
        pair: Any = self.optimizers()
        return adversarial_step(
            self.generator,
            self.discriminator,
            pair,
            real,
            z,
            self.loss,
            self.manual_backward,
            labels=None if self.classes is None else labels,
            augment=partial(diffaugment, policy=self.policy),
            penalty=self.penalty,
        )

    def on_train_epoch_end(self) -> None:
        self.write_history()
        # The last update of the epoch shows in no loss yet. Runs before the checkpoint is written, which so stays good.
        if not all_finite(self):
            self._stop("a weight")

    def write_history(self) -> None:
        """Add the mean of what was gathered to `history` and log it; nothing where nothing was."""
        if not self._gathered:
            return
        means = self.trainer.strategy.reduce(torch.stack(self._gathered).mean(0), reduce_op="mean")  # over devices
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
