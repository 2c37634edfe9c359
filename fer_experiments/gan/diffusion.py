"""A small denoising diffusion model as a LightningModule; network and noise schedules are those of diffusers."""

import math
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer

from fer_experiments.errors import ConfigError
from fer_experiments.gan.averaging import compute_decay, update_average
from fer_experiments.gan.diffaugment import random_flip
from fer_experiments.gan.history import count_steps
from fer_experiments.gan.latents import draw_latents

INNER_SIZE = 8  # the side at which the network is deepest, and has attention
NORM_GROUPS = 8


class Diffusion(lightning.LightningModule):
    """Train a network to predict the noise in noisy images (Ho et al. 2020, DDPM, with the cosine schedule of Nichol &
    Dhariwal 2021), and generate images by removing it in a few deterministic steps (Song et al. 2021, DDIM).

    With classes, the label of some training images is left out, so that the prediction without a label can steer the
    one with it (Ho & Salimans 2022, classifier-free guidance). A moving average of the weights generates all images.
    """

    def __init__(
        self,
        num_classes: int | None,
        channels: int,
        image_size: int,
        *,
        width: int,
        layers: int,
        learning_rate: float,
        max_gradient_norm: float,
        ema: int,
        label_dropout: float,
        guidance: float,
        sampling_steps: int,
        random_flip: bool,
    ) -> None:
        """Build the network with random weights.

        Args:
            num_classes: None for a model without classes.
            channels: of the images, 1 or 3.
            image_size: their side, 16, 32, 64 or 128.
            width: channels at the full size, a multiple of 8; at each half of the size there are twice as many.
            layers: residual blocks at each size.
            learning_rate: of AdamW.
            max_gradient_norm: the norm of all gradients together, to which larger ones are clipped.
            ema: half-life, in images, of the moving average of the weights.
            label_dropout: the probability with which a training image has no label.
            guidance: 1 for the prediction with the label; more goes beyond it, away from that without.
            sampling_steps: in how many steps an image is made, at most 1000.
            random_flip: whether training images are flipped from left to right with probability 0.5.

        Raises:
            ConfigError: diffusers is not installed.
            ValueError: an argument is out of its range.
        """
        super().__init__()
        _check_arguments(num_classes, image_size, width, label_dropout, guidance, sampling_steps)
        try:
            from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel
        except ImportError:
            raise ConfigError("needs diffusers; run pip install 'fer-experiments[diffusion]'") from None
        self.num_classes, self.shape = num_classes, (channels, image_size, image_size)
        self.learning_rate, self.max_gradient_norm = learning_rate, max_gradient_norm
        self.ema, self.label_dropout = ema, label_dropout
        self.guidance, self.sampling_steps, self.random_flip = guidance, sampling_steps, random_flip
        steps_down = int(math.log2(image_size / INNER_SIZE))
        network: Any = UNet2DModel(
            sample_size=image_size,
            in_channels=channels,
            out_channels=channels,
            layers_per_block=layers,
            norm_num_groups=NORM_GROUPS,
            block_out_channels=[width * 2**level for level in range(steps_down + 1)],
            down_block_types=(*["DownBlock2D"] * steps_down, "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", *["UpBlock2D"] * steps_down),
            num_class_embeds=None if num_classes is None else num_classes + 1,  # the last one: no label
        )
        self.network: nn.Module = network
        self.average: nn.Module = deepcopy(network).requires_grad_(False)
        schedule: Any = DDPMScheduler(beta_schedule="squaredcos_cap_v2")
        self.noise_schedule = schedule
        self.sampling_schedule: Any = DDIMScheduler.from_config(schedule.config)
        self.to(memory_format=torch.channels_last)

    def configure_optimizers(self) -> Optimizer:
        # Under 16-mixed a fused optimizer unscales the gradients itself, after they have been clipped.
        return AdamW(self.network.parameters(), self.learning_rate, fused=self.trainer.precision != "16-mixed")

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        # Lightning's clip_gradients refuses fused optimizers under bf16-mixed.
        nn.utils.clip_grad_norm_(self.network.parameters(), self.max_gradient_norm)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        clean = random_flip(images * 2 - 1) if self.random_flip else images * 2 - 1
        noise = torch.randn_like(clean)
        times = torch.randint(len(self.noise_schedule), (len(clean),), device=clean.device)
        noisy = self.noise_schedule.add_noise(clean, noise, times)
        if self.num_classes is not None:
            is_dropped = torch.rand(len(labels), device=labels.device) < self.label_dropout
            labels = labels.masked_fill(is_dropped, self.num_classes)
        predicted = self.network(noisy, times, labels if self.num_classes is not None else None).sample
        return F.mse_loss(predicted.float(), noise)

    def on_train_batch_end(self, outputs: Any, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        batch_size = len(batch[0]) * self.trainer.world_size
        decay = compute_decay(batch_size, count_steps(self.trainer) * batch_size, self.ema)
        update_average(self.average, self.network, decay)

    def sample(self, labels: Tensor | None, seeds: Sequence[int]) -> Tensor:
        """Generate an image for each seed, of the class in labels (N,); return (N, C, S, S) in [0, 1].

        The same seed begins with the same noise for every class.
        """
        images = draw_latents(seeds, math.prod(self.shape)).unflatten(1, self.shape).to(self.device)
        images = images.to(memory_format=torch.channels_last)
        self.sampling_schedule.set_timesteps(self.sampling_steps, device=self.device)
        for time in self.sampling_schedule.timesteps:
            images = self.sampling_schedule.step(self._predict_noise(images, time, labels), time, images).prev_sample
        return (images.clamp(-1, 1) + 1) / 2

    def _predict_noise(self, images: Tensor, time: Tensor, labels: Tensor | None) -> Tensor:
        """Return the noise in images (N, C, S, S), as guided by the labels."""
        if labels is None or self.num_classes is None or self.guidance == 1:
            return self.average(images, time, labels).sample
        none = torch.full_like(labels, self.num_classes)
        both = self.average(torch.cat([images, images]), time, torch.cat([labels, none])).sample
        with_label, without_label = both.chunk(2)
        return without_label + self.guidance * (with_label - without_label)


def _check_arguments(
    num_classes: int | None, image_size: int, width: int, label_dropout: float, guidance: float, sampling_steps: int
) -> None:
    """Raise ValueError, which names the argument, if one is out of its range."""
    if not math.log2(image_size / INNER_SIZE).is_integer() or not 16 <= image_size <= 128:
        raise ValueError(f"image_size={image_size}: must be 16, 32, 64 or 128")
    if width % NORM_GROUPS or width < 1:
        raise ValueError(f"width={width}: must be a multiple of {NORM_GROUPS}")
    if not 1 <= sampling_steps <= 1000:
        raise ValueError(f"sampling_steps={sampling_steps}: must be 1 to 1000")
    if not 0 <= label_dropout < 1:
        raise ValueError(f"label_dropout={label_dropout}: must be at least 0 and less than 1")
    if num_classes is not None and guidance != 1 and not label_dropout:
        raise ValueError(f"guidance={guidance}: needs label_dropout above 0, or be 1")
