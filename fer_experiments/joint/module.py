"""GAN and classifier as one LightningModule with manual optimization."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from fer_experiments.classifier.config import ClassifierConfig
from fer_experiments.classifier.module import Classifier
from fer_experiments.classifier.step import classification_step
from fer_experiments.errors import NonFiniteError
from fer_experiments.gan.averaging import AveragedGenerator, has_finite_weights
from fer_experiments.gan.config import GANConfig
from fer_experiments.gan.diffaugment import diffaugment, random_flip
from fer_experiments.gan.networks import Discriminator, Generator
from fer_experiments.gan.step import AdversarialObjective, adversarial_step
from fer_experiments.joint.config import JointConfig
from fer_experiments.joint.losses import accept_generated, weights_of_two_means
from fer_experiments.joint.networks import Trunk, draw_labels, without_running_statistics
from fer_experiments.joint.step import two_headed_step

Augment = Callable[[Tensor], Tensor]


class JointClassifier(Classifier, AveragedGenerator):
    """A classifier, and a conditional generator that is trained together with it.

    Batches are images (B, C, S, S) in [0, 1] without augmentation and labels (B,) int64. Real and generated images are
    augmented alike, so that the generator learns to generate images without augmentation (Zhao et al. 2020).

    TrainedClassifier and TrainedGenerator both load its checkpoints. `global_step` counts the steps of all optimizers.
    """

    generated_counts: Tensor
    cumulative_probabilities: Tensor

    def __init__(
        self,
        network: nn.Module,
        config: ClassifierConfig,
        *,
        gan: GANConfig,
        joint: JointConfig,
        augment: Augment,
        class_probabilities: list[float],
        in_class_loss: int,
        classes: list[str],
        objective: nn.Module,
        provenance: dict[str, Any],
    ) -> None:
        """Build a generator to train with `network`.

        Args:
            network: the classifier.
            config: its optimizer and the recipe of its training.
            gan: the generator, the adversarial losses and their optimizers.
            joint: how both are trained together.
            augment: images (B, C, S, S) float in [0, 255] -> augmented ones, differentiable.
            class_probabilities: the probabilities (K,) with which images of each class are generated.
            in_class_loss: how many of a step's generated images have a part in the class loss.
            classes, objective, provenance: as in Classifier; provenance also tells image_size and channels.
        """
        super().__init__(
            network,
            config,
            classes=classes,
            objective=objective,
            mixing=config.build_mixing(),
            provenance=provenance,
            settings={"gan": gan.model_dump(mode="json"), "channels": provenance["channels"]},
        )
        self.automatic_optimization = False
        self.gan, self.joint, self.augment, self.in_class_loss = gan, joint, augment, in_class_loss
        self.image_size, channels = provenance["image_size"], provenance["channels"]
        self.generator = Generator(gan.latent_dim, gan.width, channels, gan.image_size, len(classes))
        self.start_average(gan.ema)
        self.adversarial = AdversarialObjective.from_config(gan)
        self.register_buffer("generated_counts", torch.zeros(len(classes), dtype=torch.int64))
        self.register_buffer("cumulative_probabilities", torch.tensor(class_probabilities).cumsum(0), persistent=False)
        self.warm_up_factor = 1.0
        self.to(memory_format=torch.channels_last)

    def generated_by_class(self) -> dict[str, int]:
        """Return {class: number of generated images from which the classifier has learned, by any loss}."""
        counts = zip(self.classes, self.generated_counts.tolist(), strict=True)
        return {name: number for name, number in counts if number}

    def build_adam(self, network: nn.Module, learning_rate: float) -> Adam:
        return Adam(network.parameters(), learning_rate, (self.gan.betas[0], self.gan.betas[1]), fused=True)

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        assert self.trainer.max_epochs is not None
        self.warm_up_factor = float(self.current_epoch >= self.joint.warm_up * self.trainer.max_epochs)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        steps = self.global_step // len(self.trainer.optimizers)
        self._step_means.add(self.update_networks(*batch, self.adversarial.at_step(steps)))
        schedules: Any = self.lr_schedulers() or []  # Lightning steps them in automatic optimization only
        for schedule in schedules if isinstance(schedules, list) else [schedules]:
            schedule.step()
        self.follow_generator(len(batch[0]), (steps + 1) * len(batch[0]))

    def on_train_epoch_end(self) -> None:
        # The losses may not show the last update of the generator. This runs before a checkpoint is written, so that
        # the last one stays good.
        if not has_finite_weights(self):
            raise NonFiniteError(
                f"a weight is not finite in epoch {self.current_epoch + 1}; checkpoints/last.ckpt holds the last good "
                "state, if one was due (classifier.checkpoint_every). Try a smaller gan.learning_rate (now "
                f"{self.gan.learning_rate}) or a smaller learning rate of the classifier (now "
                f"{self.config.learning_rate})"
            )

    def draw_latents(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Draw noise (B, latent_dim) and the classes (B,) to generate, as many as there are images (B, C, S, S)."""
        z = torch.randn(len(images), self.generator.latent_dim, device=images.device, dtype=images.dtype)
        return z, draw_labels(self.cumulative_probabilities, len(images))

    def real_for_gan(self, images: Tensor) -> Tensor:
        """images (B, C, S, S) in [0, 1] -> in [-1, 1], at the GAN's size, flipped at random if gan.random_flip."""
        real = resize_images(images, self.gan.image_size) * 2 - 1
        return random_flip(real) if self.gan.random_flip else real

    def count_generated(self, labels: Tensor, selected: Tensor) -> None:
        """Add the labels (B,) of the selected (B,) bool images to generated_counts."""
        self.generated_counts += (F.one_hot(labels, len(self.classes)) * selected[:, None]).sum(0)

    @abstractmethod
    def update_networks(self, images: Tensor, labels: Tensor, adversarial: AdversarialObjective) -> dict[str, Tensor]:
        """Update each network once, with these adversarial losses.

        Returns:
            What the step measured, {name: scalar}, with the same names in every step.
        """


class TwoHeadedClassifier(JointClassifier):
    """joint.head=adc or acgan: `network` is a Trunk, classifier and discriminator at once."""

    def __init__(self, network: Trunk, config: ClassifierConfig, **arguments: Any) -> None:
        """Take the arguments of JointClassifier. The trunk's images pass `augment`, then gan.diffaugment."""
        super().__init__(network, config, **arguments)
        self.adversarial = replace(self.adversarial, augment=self.augment_for_trunk)

    def configure_optimizers(self) -> Any:
        # Both networks have the schedule; otherwise one of them would become too strong for the other.
        generator = self.with_schedule(self.build_adam(self.generator, self.gan.learning_rate))
        return super().configure_optimizers(), generator

    def augment_for_trunk(self, images: Tensor) -> Tensor:
        """images (B, C, S, S) in [-1, 1] -> augmented ones in the same range."""
        return diffaugment(self.augment((images + 1) * 127.5) / 127.5 - 1, self.gan.diffaugment)

    def update_networks(self, images: Tensor, labels: Tensor, adversarial: AdversarialObjective) -> dict[str, Tensor]:
        z, fake_labels = self.draw_latents(images)
        self.count_generated(fake_labels, self._trains_trunk(fake_labels))
        return two_headed_step(
            self.generator,
            cast(Trunk, self.network),
            cast(list, self.optimizers()),
            self.real_for_gan(images),
            labels,
            z,
            fake_labels,
            objective=adversarial,
            joint=self.joint,
            in_class_loss=self.in_class_loss,
            warm_up_factor=self.warm_up_factor,
            backward=self.manual_backward,
        )

    def _trains_trunk(self, fake_labels: Tensor) -> Tensor:
        """Return whether each generated image (B,) bool has a part in a loss that trains the trunk."""
        if self.joint.adversarial_weight and self.joint.share_trunk:
            return torch.ones_like(fake_labels, dtype=torch.bool)
        if not self.joint.generated_loss_weight:
            return torch.zeros_like(fake_labels, dtype=torch.bool)
        indices = torch.arange(len(fake_labels), device=fake_labels.device)
        return (indices < self.in_class_loss) & (self.warm_up_factor > 0)


class ExternalClassifier(JointClassifier):
    """joint.head=external: EC-GAN (Haque 2021).

    `network` learns from real images and from those of a conditional GAN that it accepts. The GAN does not learn from
    the classifier.
    """

    def __init__(self, network: nn.Module, config: ClassifierConfig, **arguments: Any) -> None:
        """Take the arguments of JointClassifier."""
        super().__init__(network, config, **arguments)
        self.discriminator = Discriminator(
            self.gan.width,
            arguments["provenance"]["channels"],
            self.gan.image_size,
            outputs=1,
            classes=len(self.classes),
            normalisation=self.gan.normalisation,
        )
        self.discriminator.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> Any:
        rate = self.gan.learning_rate
        networks = (self.generator, rate), (self.discriminator, self.gan.discriminator_learning_rate or rate)
        return super().configure_optimizers(), *({"optimizer": self.build_adam(*each)} for each in networks)

    def update_networks(self, images: Tensor, labels: Tensor, adversarial: AdversarialObjective) -> dict[str, Tensor]:
        z, fake_labels = self.draw_latents(images)
        classifier_optimizer, *gan_optimizers = cast(list, self.optimizers())
        measured = adversarial_step(
            self.generator,
            self.discriminator,
            gan_optimizers,
            self.real_for_gan(images),
            z,
            adversarial,
            labels=labels,
            fake_labels=fake_labels,
            backward=self.manual_backward,
        )
        requested = fake_labels[: self.in_class_loss]
        generated = self.generate(z[: self.in_class_loss], requested)
        generated_labels, accepted = accept_generated(
            self.predict_without_dropout(generated), requested, self.joint.threshold, self.joint.pseudo_labels
        )
        accepted = accepted & (self.warm_up_factor > 0)
        self.count_generated(generated_labels, accepted)
        classification = classification_step(
            self.network,
            classifier_optimizer,
            self.augment(torch.cat([images, generated]) * 255) / 255,
            torch.cat([labels, generated_labels]),
            objective=self.objective,
            mixing=self.mixing,
            smoothing=self.config.label_smoothing,
            weights=weights_of_two_means(len(images), accepted, self.joint.generated_loss_weight),
            measured=len(images),
            backward=self.manual_backward,
            mean_over_devices=self.mean_over_devices,
        )
        share = accepted.float().mean() if len(accepted) else torch.zeros((), device=images.device)
        return {**classification, **measured, "joint/accepted": share}

    @torch.no_grad()
    def generate(self, z: Tensor, labels: Tensor) -> Tensor:
        """z (b, latent_dim), labels (b,) -> images (b, C, S, S) in [0, 1] at the classifier's size."""
        with without_running_statistics(self.generator):
            images = (self.generator(z, labels).float() + 1) / 2
        return resize_images(images, self.image_size)

    @torch.no_grad()
    def predict_without_dropout(self, images: Tensor) -> Tensor:
        """images (b, C, S, S) in [0, 1] -> logits (b, K)."""
        self.network.eval()
        logits = self.network(images)
        self.network.train()
        return logits


def resize_images(images: Tensor, size: int) -> Tensor:
    """images (B, C, S, S) -> (B, C, size, size), bilinear."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)
