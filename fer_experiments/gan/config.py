"""The configuration of a GAN, conf/gan/."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from fer_experiments.strict_config import StrictConfig, UserPath

Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0.0)]
Beta = Annotated[float, Field(ge=0.0, lt=1.0)]
CHECKPOINTS = ("last", "best_kid")
Normalisation = Literal["batch", "layer", "spectral"]
AUGMENTATION_NAMES = ("color", "translation", "cutout")  # the keys of AUGMENTATIONS in diffaugment.py


class GANConfig(StrictConfig):
    """The keys of conf/gan/dcgan.yaml, which explains each of them."""

    target_class: str | None
    pretrained: UserPath | None
    conditional: bool
    labels: Literal["balanced", "natural"]
    latent_dim: Annotated[int, Field(ge=1, le=4096)]
    width: Annotated[int, Field(ge=1, le=512)]
    image_size: Literal[32, 64, 128]
    discriminator_outputs: Literal[1, 2]
    loss: Literal["bce", "non_saturating", "minimax", "hinge", "lsgan", "wgan_gp"]
    regularizer: Literal["none", "r1", "spectral_norm"]
    r1_gamma: Rate | None
    r1_every: Positive
    epochs: Positive | None
    images_seen: Positive | None
    batch_size: Annotated[int, Field(ge=2)]  # BatchNorm needs two
    learning_rate: Rate
    discriminator_learning_rate: Rate | None
    betas: list[Beta]
    ema: Positive | None
    diffaugment: str | None
    random_flip: bool
    picture_epochs: list[Positive]
    checkpoint_every: Positive
    kid_every: Positive | None
    checkpoint: Literal["last", "best_kid"]

    @field_validator("checkpoint", mode="before")
    @classmethod
    def _check_checkpoint(cls, checkpoint: Any) -> Any:
        if checkpoint not in CHECKPOINTS:
            raise ValueError("must be last or best_kid; give the checkpoint of a trained GAN as gan.pretrained=PATH")
        return checkpoint

    @field_validator("pretrained")
    @classmethod
    def _check_pretrained(cls, checkpoint: Path | None) -> Path | None:
        if checkpoint is not None and not checkpoint.is_file():
            raise ValueError("there is no such file; give checkpoints/last.ckpt of a run with train=dcgan, or null")
        return checkpoint

    @field_validator("betas")
    @classmethod
    def _check_betas(cls, betas: list[float]) -> list[float]:
        if len(betas) != 2:
            raise ValueError("Adam takes two betas, such as [0.5, 0.999]")
        return betas

    @field_validator("diffaugment")
    @classmethod
    def _check_diffaugment(cls, policy: str | None) -> str | None:
        if policy is not None:
            parse_policy(policy)
        return policy

    @model_validator(mode="after")
    def _check_length(self) -> "GANConfig":
        if (self.epochs is None) == (self.images_seen is None):
            raise ValueError(
                f"epochs={self.epochs}, images_seen={self.images_seen}: are two ways to give one length; give one of "
                "them, and null for the other"
            )
        return self

    @model_validator(mode="after")
    def _check_combinations(self) -> "GANConfig":
        if self.conditional and self.target_class is not None:
            raise ValueError(
                f"target_class={self.target_class}: a conditional GAN is trained on all classes; use "
                "gan.target_class=null, or gan.conditional=false"
            )
        if self.checkpoint == "best_kid" and self.kid_every is None:
            raise ValueError(
                "checkpoint=best_kid: needs KID to be measured; set gan.kid_every, in epochs, or use "
                "gan.checkpoint=last"
            )
        if self.loss == "wgan_gp" and self.regularizer != "none":
            raise ValueError(
                f"regularizer={self.regularizer}: loss=wgan_gp has its own gradient penalty; use gan.regularizer=none, "
                "or another gan.loss"
            )
        if self.r1_gamma is not None and self.regularizer != "r1":
            raise ValueError(
                f"r1_gamma={self.r1_gamma}: is for regularizer=r1, not {self.regularizer}; use gan.r1_gamma=null, or "
                "gan.regularizer=r1"
            )
        for needs_one_output, setting in (
            (self.conditional, "conditional=true"),
            (self.loss in ("hinge", "lsgan", "wgan_gp"), f"loss={self.loss}"),
            (self.regularizer == "r1", "regularizer=r1"),
        ):
            if needs_one_output and self.discriminator_outputs != 1:
                raise ValueError(
                    f"{setting}: needs gan.discriminator_outputs=1, not {self.discriminator_outputs}; set it as well"
                )
        return self

    @property
    def gamma(self) -> float | None:
        """The weight of R1; None without R1."""
        if self.regularizer != "r1":
            return None
        return self.r1_gamma or default_gamma(self.image_size, self.batch_size)

    @property
    def penalty_every(self) -> int:
        """In every how many steps the discriminator's loss has its penalty on the gradient by its input."""
        return self.r1_every if self.regularizer == "r1" else 1

    @property
    def normalisation(self) -> Normalisation:
        """The normalisation of the discriminator's layers that the loss and the regularizer need."""
        if self.regularizer == "spectral_norm":
            return "spectral"
        return "layer" if self.loss == "wgan_gp" else "batch"

    @property
    def has_r1_or_gradient_penalty(self) -> bool:
        """Whether the discriminator's loss has a penalty on the gradient by its input."""
        return self.loss == "wgan_gp" or self.regularizer == "r1"

    def epochs_for(self, steps_per_epoch: int) -> int:
        """Return `epochs` or, if images_seen is set instead, the epochs in which so many images are seen."""
        if self.epochs is not None:
            return self.epochs
        assert self.images_seen is not None
        return math.ceil(self.images_seen / (steps_per_epoch * self.batch_size))


def default_gamma(image_size: int, batch_size: int) -> float:
    """Return 0.0002 size^2 / batch, 0.0128 at 64 pixels and batch 64 (Karras et al. 2020, StyleGAN2-ADA)."""
    return 0.0002 * image_size**2 / batch_size


def parse_policy(policy: str) -> list[str]:
    """Return ["color", "cutout"] for "color,cutout". Raises ValueError for a name not in AUGMENTATION_NAMES."""
    names = [name.strip() for name in policy.split(",")]
    unknown = [name for name in names if name not in AUGMENTATION_NAMES]
    if unknown:
        raise ValueError(
            f"there is no augmentation {', '.join(map(repr, unknown))}; give one or more of "
            f"{', '.join(AUGMENTATION_NAMES)}, separated by commas, or null"
        )
    return names
