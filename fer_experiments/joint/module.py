"""GAN and classifier as one LightningModule with manual optimization."""

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from fer_experiments.classifier.module import Classifier
from fer_experiments.classifier.step import METRICS, classification_step
from fer_experiments.errors import NonFiniteError
from fer_experiments.gan.averaging import AveragedGenerator, all_finite
from fer_experiments.gan.diffaugment import diffaugment, mirrored
from fer_experiments.gan.losses import LOSSES
from fer_experiments.gan.networks import Discriminator, Generator, normalisation_of
from fer_experiments.gan.penalties import penalty_of
from fer_experiments.gan.step import METRICS as ADVERSARIAL
from fer_experiments.gan.step import adversarial_step
from fer_experiments.joint.config import JointConfig
from fer_experiments.joint.losses import accepted, as_means
from fer_experiments.joint.networks import Trunk, drawn_labels, unrecorded
from fer_experiments.joint.step import METRICS as TWO_HEADED
from fer_experiments.joint.step import two_headed_step

Augment = Callable[[Tensor], Tensor]


class JointClassifier(Classifier, AveragedGenerator):
    """A classifier, and a generator of all its classes that is trained with it.

    Batches are (images (B, C, S, S) in [0, 1], labels (B,)) without augmentation: `augment`, floats in [0, 255] to such
    with a gradient, is used on real and generated images alike, so that the generator makes plain ones (Zhao et al.
    2020). joint: conf/joint's; probabilities (K,): of the classes to be asked for; classed: generated images in a
    step's class loss. The keys after them are conf/gan's, as DCGAN has them, and the others Classifier's.

    A checkpoint is TrainedClassifier's and TrainedGenerator's alike. `global_step` counts every optimizer.
    """

    objects: ClassVar[tuple[str, ...]] = (*Classifier.objects, "joint", "augment")
    asked: Tensor
    cumulative: Tensor
    ready: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        joint: JointConfig,
        augment: Augment,
        probabilities: list[float],
        classed: int,
        latent_dim: int,
        width: int,
        channels: int,
        image_size: int,
        loss: str,
        learning_rate_generator: float,
        learning_rate_discriminator: float,
        betas: list[float],
        spectral_norm: bool = False,
        r1_gamma: float | None = None,
        ema: int | None = None,
        diffaugment: str | None = None,
        mirror: bool = False,
        **classifier: Any,
    ) -> None:
        super().__init__(network, **classifier)
        self.generator = Generator(latent_dim, width, channels, image_size, len(self.classes))
        self.start_average(ema)
        self.joint, self.augment, self.classed = joint, augment, classed
        self.policy, self.mirror = diffaugment, mirror
        self.loss, self.penalty, self.betas = LOSSES[loss], penalty_of(loss, r1_gamma), (betas[0], betas[1])
        self.learning_rate_generator = learning_rate_generator
        self.learning_rate_discriminator = learning_rate_discriminator
        self.register_buffer("asked", torch.zeros(len(self.classes), dtype=torch.int64))
        self.register_buffer("cumulative", torch.tensor(probabilities).cumsum(0), persistent=False)
        self.register_buffer("ready", torch.ones(()), persistent=False)
        self.to(memory_format=torch.channels_last)

    def seen(self) -> dict[str, int]:
        """{class: generated images from which the classifier learnt, by either loss}."""
        return {name: number for name, number in zip(self.classes, self.asked.tolist(), strict=True) if number}

    def adam(self, network: nn.Module, learning_rate: float) -> Adam:
        return Adam(network.parameters(), learning_rate, self.betas, fused=True)

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        assert self.trainer.max_epochs is not None
        # In place: a captured step reads this memory.
        self.ready.fill_(float(self.current_epoch >= self.joint.warm_up * self.trainer.max_epochs))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        super().training_step(batch, batch_idx)
        steps = self.global_step // len(self.trainer.optimizers)
        self.follow_generator(len(batch[0]), steps * len(batch[0]))

    def on_train_epoch_end(self) -> None:
        # Of the generator no loss may have shown it yet. Runs before the checkpoint is written, which so stays good.
        if not all_finite(self):
            raise NonFiniteError(
                f"a weight is not finite in epoch {self.current_epoch + 1}; checkpoints/last.ckpt holds the last good "
                "state, if one was due (classifier.checkpoint_every). Try a smaller gan.learning_rate (now "
                f"{self.learning_rate_generator}) or a smaller rate of the classifier (now {self.learning_rate})"
            )

    def draw(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Noise (B, latent_dim) and classes (B,) to be made, as many as there are images."""
        z = torch.randn(len(images), self.generator.latent_dim, device=images.device, dtype=images.dtype)
        return z, drawn_labels(self.cumulative, len(images))

    def real(self, images: Tensor) -> Tensor:
        """images (B, C, S, S) in [0, 1] -> in [-1, 1] at the GAN's size, perhaps mirrored."""
        found = resized(images, self.hparams["image_size"]) * 2 - 1
        return mirrored(found) if self.mirror else found

    def see(self, images: Tensor) -> Tensor:
        """images in [-1, 1] -> as a network sees them in training, in the same range."""
        return diffaugment(self.augment((images + 1) * 127.5) / 127.5 - 1, self.policy)

    def count(self, labels: Tensor, which: Tensor) -> None:
        """Add labels (B,), those of `which` (B,) bool, to the generated images seen; in place, for captured steps."""
        self.asked += (F.one_hot(labels, len(self.classes)) * which[:, None]).sum(0)

    @abstractmethod
    def step(self, images: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """One update of each network; returns `metrics`."""


class TwoHeaded(JointClassifier):
    """joint.head=adc or acgan: `network` is a Trunk, classifier and discriminator at once."""

    metrics: ClassVar[tuple[str, ...]] = TWO_HEADED

    def configure_optimizers(self) -> Any:
        # A schedule is both networks', or one would be too strong for the other.
        return super().configure_optimizers(), self.scheduled(self.adam(self.generator, self.learning_rate_generator))

    def step(self, images: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        own = self.joint
        z, asked = self.draw(images)
        learnt_from = (torch.arange(len(asked), device=asked.device) < self.classed) & (self.ready > 0)
        if not own.beside_real:
            learnt_from = torch.zeros_like(learnt_from)
        if own.adversarial_weight and own.shared:
            learnt_from = torch.ones_like(learnt_from)
        self.count(asked, learnt_from)
        network, optimizers = cast(Trunk, self.network), cast(list, self.optimizers())
        return two_headed_step(
            self.generator,
            network,
            optimizers,
            self.real(images),
            labels,
            z,
            asked,
            own,
            self.classed,
            self.ready,
            self.loss,
            self.manual_backward,
            self.see,
            self.penalty,
        )


class External(JointClassifier):
    """joint.head=external: EC-GAN (Haque 2021). `network` learns from real images and from those that it accepts of a
    conditional GAN, which it teaches nothing.
    """

    metrics: ClassVar[tuple[str, ...]] = (*METRICS, *(f"gan/{name}" for name in ADVERSARIAL), "joint/accepted")

    def __init__(self, network: nn.Module, **keys: Any) -> None:
        super().__init__(network, **keys)
        sizes = {name: keys[name] for name in ("width", "channels", "image_size")}
        norm = normalisation_of(keys["loss"], keys["spectral_norm"])
        self.discriminator = Discriminator(**sizes, outputs=1, classes=len(self.classes), normalisation=norm)
        self.discriminator.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> Any:
        pair = (self.generator, self.learning_rate_generator), (self.discriminator, self.learning_rate_discriminator)
        return super().configure_optimizers(), *({"optimizer": self.adam(*one)} for one in pair)

    def step(self, images: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        z, asked = self.draw(images)
        classifier, *pair = cast(list, self.optimizers())
        adversarial = adversarial_step(
            self.generator,
            self.discriminator,
            pair,
            self.real(images),
            z,
            self.loss,
            self.manual_backward,
            labels,
            partial(diffaugment, policy=self.policy),
            self.penalty,
            asked,
        )
        made, asked = self.made(z[: self.classed], asked[: self.classed]), asked[: self.classed]
        made_labels, counts = accepted(self.opinion(made), asked, self.joint.threshold, self.joint.pseudo_labels)
        counts = counts & (self.ready > 0)
        self.count(made_labels, counts)
        of_classes = classification_step(
            self.network,
            classifier,
            self.augmented(torch.cat([images, made])),
            torch.cat([labels, made_labels]),
            self.objective,
            self.label_smoothing,
            self.mixing,
            as_means(len(images), counts, self.joint.beside_real),
            self.manual_backward,
            self._over_devices,
            measured=len(images),
        )
        share = counts.float().mean() if len(counts) else torch.zeros((), device=images.device)
        return torch.cat([of_classes, adversarial.float(), share[None]])

    @torch.no_grad()
    def made(self, z: Tensor, asked: Tensor) -> Tensor:
        """Images (b, C, S, S) in [0, 1], at the classifier's size."""
        with unrecorded(self.generator):
            images = (self.generator(z, asked).float() + 1) / 2
        return resized(images, self.hparams["provenance"]["image_size"])

    @torch.no_grad()
    def opinion(self, images: Tensor) -> Tensor:
        """Logits (b, K) of images in [0, 1], without dropout."""
        self.network.eval()
        logits = self.network(images)
        self.network.train()
        return logits

    def augmented(self, images: Tensor) -> Tensor:
        """images in [0, 1] -> the same, as `augment` changes them."""
        return self.augment(images * 255) / 255


def resized(images: Tensor, size: int) -> Tensor:
    """images (B, C, S, S) -> (B, C, size, size), bilinear."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)
