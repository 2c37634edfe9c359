"""What conf/gan/ configures."""

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from fer_experiments.gan.diffaugment import words
from fer_experiments.gan.penalties import default_gamma
from fer_experiments.spec import Spec, UserPath

Positive = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0.0)]
Beta = Annotated[float, Field(ge=0.0, lt=1.0)]


class GANConfig(Spec):
    target_class: str | None
    checkpoint: UserPath | None
    conditional: bool
    labels: Literal["balanced", "natural"]
    latent_dim: Annotated[int, Field(ge=1, le=4096)]
    width: Annotated[int, Field(ge=1, le=512)]
    image_size: Literal[32, 64, 128]
    discriminator_outputs: Literal[1, 2]
    loss: Literal["bce", "non_saturating", "minimax", "hinge", "lsgan", "wgan_gp"]
    regularizer: Literal["none", "r1", "spectral_norm"]
    r1_gamma: Rate | None
    epochs: Positive
    images_seen: Positive | None
    batch_size: Annotated[int, Field(ge=2)]  # BatchNorm needs two
    learning_rate: Rate
    discriminator_learning_rate: Rate | None
    betas: list[Beta]
    ema: Positive | None
    diffaugment: str | None
    mirror: bool
    picture_epochs: list[Positive]
    checkpoint_every: Positive
    kid_every: Positive | None
    select: Literal["last", "best_kid"]
    inception: UserPath | None

    @field_validator("checkpoint")
    @classmethod
    def _a_file(cls, checkpoint: Path | None) -> Path | None:
        if checkpoint is not None and not checkpoint.is_file():
            raise ValueError("there is no such file; give checkpoints/last.ckpt of a run with train=dcgan, or null")
        return checkpoint

    @field_validator("inception")
    @classmethod
    def _weights(cls, weights: Path | None) -> Path | None:
        if weights is not None and not weights.is_file():
            raise ValueError("there is no such file; give the weights of torch-fidelity's InceptionV3, or null")
        return weights

    @field_validator("betas")
    @classmethod
    def _two(cls, betas: list[float]) -> list[float]:
        if len(betas) != 2:
            raise ValueError("Adam takes two betas, as [0.5, 0.999]")
        return betas

    @field_validator("diffaugment")
    @classmethod
    def _known(cls, policy: str | None) -> str | None:
        if policy is not None:
            words(policy)
        return policy

    @model_validator(mode="after")
    def _fits_together(self) -> "GANConfig":
        if self.conditional and self.target_class is not None:
            raise ValueError(
                f"target_class={self.target_class}: a conditional GAN is trained on all classes; use "
                "gan.target_class=null, or gan.conditional=false"
            )
        if self.select == "best_kid" and self.kid_every is None:
            raise ValueError(
                "select=best_kid: needs a distance to choose by; set gan.kid_every, in epochs, or use gan.select=last"
            )
        if self.loss == "wgan_gp" and self.regularizer != "none":
            raise ValueError(
                f"regularizer={self.regularizer}: loss=wgan_gp has a gradient penalty of its own; use "
                "gan.regularizer=none, or another gan.loss"
            )
        if self.r1_gamma is not None and self.regularizer != "r1":
            raise ValueError(
                f"r1_gamma={self.r1_gamma}: is for regularizer=r1, not {self.regularizer}; use gan.r1_gamma=null, or "
                "gan.regularizer=r1"
            )
        for wanted, because in (
            (self.conditional, "conditional=true"),
            (self.loss in ("hinge", "lsgan", "wgan_gp"), f"loss={self.loss}"),
            (self.regularizer == "r1", "regularizer=r1"),
        ):
            if wanted and self.discriminator_outputs != 1:
                raise ValueError(
                    f"{because}: needs gan.discriminator_outputs=1, not {self.discriminator_outputs}; set it, too"
                )
        return self

    @property
    def gamma(self) -> float | None:
        """R1's weight, None without R1."""
        if self.regularizer != "r1":
            return None
        return self.r1_gamma or default_gamma(self.image_size, self.batch_size)

    def epochs_of(self, steps: int) -> int:
        """`epochs`, or as many epochs of `steps` batches as show images_seen images."""
        if self.images_seen is None:
            return self.epochs
        return math.ceil(self.images_seen / (steps * self.batch_size))
