"""What the configuration of every generator has, whatever its kind: conf/gan/base.yaml."""

import math
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from fer_experiments.strict_config import Label, StrictConfig, UserPath

Positive = Annotated[int, Field(ge=1)]
CHECKPOINTS = ("last", "best_kid")
MIN_STEPS = 1000  # that a GAN needs at least; the paper's 246,000 images are 3,900 batches of 64


class GeneratorConfig(StrictConfig):
    """The keys of conf/gan/base.yaml, which explains each of them. A subclass says what the generator is.

    noun: what log lines and reports call the generator.
    """

    noun: ClassVar[str] = "generator"
    target_class: Label | None
    pretrained: UserPath | None
    conditional: bool
    labels: Literal["balanced", "natural"]
    image_size: Annotated[int, Field(ge=8, le=512)]
    epochs: Positive | None
    images_seen: Positive | None
    batch_size: Annotated[int, Field(ge=2)]  # BatchNorm needs two
    picture_epochs: list[Positive]
    checkpoint_every: Positive
    kid_every: Positive | None
    checkpoint: Literal["last", "best_kid"]

    @property
    def module_target(self) -> str | None:
        """The class of the LightningModule, if that is a key of the configuration."""
        return None

    def check_with_torch(self) -> None:
        """Raise ConfigError for what can be known to be wrong before any work, but not without torch."""

    @field_validator("checkpoint", mode="before")
    @classmethod
    def _check_checkpoint(cls, checkpoint: Any) -> Any:
        if checkpoint not in CHECKPOINTS:
            raise ValueError("must be last or best_kid; give the checkpoint of a trained GAN as gan.pretrained=PATH")
        return checkpoint

    @field_validator("pretrained")
    @classmethod
    def _check_pretrained(cls, checkpoint: Path | None) -> Path | None:
        if checkpoint is not None and not checkpoint.exists():
            raise ValueError("does not exist; give the folder of a run with train=dcgan, or a checkpoint, or null")
        return checkpoint

    @model_validator(mode="after")
    def _check_length(self) -> "GeneratorConfig":
        if (self.epochs is None) == (self.images_seen is None):
            raise ValueError(
                f"epochs={self.epochs}, images_seen={self.images_seen}: are two ways to give one length; give one of "
                "them, and null for the other"
            )
        return self

    @model_validator(mode="after")
    def _check_classes_and_checkpoint(self) -> "GeneratorConfig":
        if self.conditional and self.target_class is not None:
            raise ValueError(
                f"target_class={self.target_class}: a conditional {self.noun} is trained on all classes; use "
                "gan.target_class=null, or gan.conditional=false"
            )
        if self.checkpoint == "best_kid" and self.kid_every is None:
            raise ValueError(
                "checkpoint=best_kid: needs KID to be measured; set gan.kid_every, in epochs, or use "
                "gan.checkpoint=last"
            )
        return self

    def epochs_for(self, steps_per_epoch: int) -> int:
        """Return `epochs` or, if images_seen is set instead, the epochs in which so many images are seen."""
        if self.epochs is not None:
            return self.epochs
        assert self.images_seen is not None
        return math.ceil(self.images_seen / (steps_per_epoch * self.batch_size))
