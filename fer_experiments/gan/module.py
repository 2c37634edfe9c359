"""Generator and discriminator as a LightningModule with manual optimization."""

from typing import Any

import lightning
import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

from fer_experiments.evaluation.step_means import StepMeans
from fer_experiments.gan.averaging import AveragedGenerator, has_finite_weights
from fer_experiments.gan.config import GANConfig
from fer_experiments.gan.diffaugment import random_flip
from fer_experiments.gan.history import append_row, is_row_due, non_finite_error
from fer_experiments.gan.networks import Discriminator, Generator
from fer_experiments.gan.step import AdversarialObjective, adversarial_step


class DCGAN(lightning.LightningModule, AveragedGenerator):
    """Train a generator and a discriminator in turn on batches (images (B, C, S, S) in [0, 1], labels (B,) int64).

    `global_step` counts the steps of both optimizers: 2 a batch.
    """

    def __init__(
        self, gan: GANConfig, *, channels: int, provenance: dict[str, Any], classes: list[str] | None = None
    ) -> None:
        """Build both networks.

        Args:
            gan: the configuration of networks, losses and optimizers.
            channels: of the images, 1 or 3.
            provenance: what the checkpoint tells about the training (class, split hash, stored channels, seed).
            classes: the names of the classes, in the order of the labels, if the GAN is conditional; None: labels are
                ignored.
        """
        super().__init__()
        self.save_hyperparameters(
            {
                "gan": gan.model_dump(mode="json"),
                "channels": channels,
                "classes": classes,
                "provenance": provenance,
            },
            logger=False,
        )
        self.automatic_optimization = False
        self.gan, self.classes = gan, classes
        class_count = None if classes is None else len(classes)
        has_transition = gan.transition is not None
        self.generator = Generator(
            gan.latent_dim, gan.width, channels, gan.image_size, class_count, transition=has_transition
        )
        self.discriminator = Discriminator(
            gan.width,
            channels,
            gan.image_size,
            gan.discriminator_outputs,
            class_count,
            gan.normalisation,
            transition=has_transition,
        )
        self.to(memory_format=torch.channels_last)
        self.start_average(gan.ema)
        self.objective = AdversarialObjective.from_config(gan)
        self.lecam = self.objective.lecam  # as attributes their state is in the checkpoint
        self.adaptive_augmentation = self.objective.adaptive_augmentation
        self.history: list[dict[str, float]] = []
        self._step_means = StepMeans()

    def configure_optimizers(self) -> list[Optimizer]:
        betas = (self.gan.betas[0], self.gan.betas[1])
        rate = self.gan.learning_rate
        return [
            Adam(self.generator.parameters(), rate, betas, fused=True),
            Adam(self.discriminator.parameters(), self.gan.discriminator_learning_rate or rate, betas, fused=True),
        ]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._set_class_influence()
        measured = self._update_networks(*batch)
        if self.adaptive_augmentation is not None:
            sign_real = self.trainer.strategy.reduce(measured["gan/sign_real"], reduce_op="mean")
            self.adaptive_augmentation.adapt(sign_real, int(self.trainer.estimated_stepping_batches))
            measured["gan/augmentation_probability"] = self.adaptive_augmentation.probability.clone()
        self._step_means.add(measured)
        batch_size = len(batch[0]) * self.trainer.world_size
        self.follow_generator(batch_size, self.global_step // 2 * batch_size)
        if is_row_due(self.trainer, self._step_means):
            append_row(self, self._step_means, "a loss of the GAN", self._remedy)

    def _set_class_influence(self) -> None:
        """Set how far the class counts in this step, in both networks (gan.transition)."""
        if self.gan.transition is None:
            return
        begin, end = self.gan.transition
        share = self.global_step // 2 / self.trainer.estimated_stepping_batches
        influence = min(max((share - begin) / (end - begin), 0.0), 1.0)
        for network in (self.generator, self.discriminator):
            assert network.class_influence is not None
            network.class_influence.fill_(influence)

    def _update_networks(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        real = images * 2 - 1
        if self.gan.random_flip:
            real = random_flip(real)
        z = torch.randn(len(real), self.generator.latent_dim, device=real.device, dtype=real.dtype)
        optimizers: Any = self.optimizers()
        return adversarial_step(
            self.generator,
            self.discriminator,
            optimizers,
            real,
            z,
            self.objective.at_step(self.global_step // 2),
            labels=None if self.classes is None else labels,
            backward=self.manual_backward,
        )

    def on_train_epoch_end(self) -> None:
        # No loss shows the last update of an epoch. This runs before a checkpoint is written: the last stays good.
        if not has_finite_weights(self):
            raise non_finite_error(self.trainer, "a weight of the GAN", self._remedy)

    @property
    def _remedy(self) -> str:
        return f"a smaller gan.learning_rate (now {self.gan.learning_rate})"
