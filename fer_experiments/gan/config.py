"""What conf/gan/ configures."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from fer_experiments.spec import Spec, UserPath

Positive = Annotated[int, Field(ge=1)]
Beta = Annotated[float, Field(ge=0.0, lt=1.0)]


class GANConfig(Spec):
    target_class: str | None
    checkpoint: UserPath | None
    latent_dim: Annotated[int, Field(ge=1, le=4096)]
    width: Annotated[int, Field(ge=1, le=512)]
    image_size: Literal[32, 64, 128]
    discriminator_outputs: Literal[1, 2]
    loss: Literal["non_saturating", "minimax"]
    epochs: Positive
    batch_size: Annotated[int, Field(ge=2)]  # BatchNorm needs two
    learning_rate: Annotated[float, Field(gt=0.0)]
    betas: list[Beta]
    picture_epochs: list[Positive]
    checkpoint_every: Positive

    @field_validator("checkpoint")
    @classmethod
    def _a_file(cls, checkpoint: Path | None) -> Path | None:
        if checkpoint is not None and not checkpoint.is_file():
            raise ValueError("there is no such file; give checkpoints/last.ckpt of a run with train=dcgan, or null")
        return checkpoint

    @field_validator("betas")
    @classmethod
    def _two(cls, betas: list[float]) -> list[float]:
        if len(betas) != 2:
            raise ValueError("Adam takes two betas, as [0.5, 0.999]")
        return betas
