"""The configuration of a DCGAN, conf/gan/dcgan.yaml."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from fer_experiments.gan.generator_config import GeneratorConfig, Positive

Rate = Annotated[float, Field(gt=0.0)]
Beta = Annotated[float, Field(ge=0.0, lt=1.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Normalisation = Literal["batch", "layer", "spectral"]
LOSSES_WITHOUT_ZERO = ("wgan_gp", "relativistic")  # whose logits mean something only beside other logits
AUGMENTATION_NAMES = ("color", "translation", "cutout")  # the keys of AUGMENTATIONS in diffaugment.py


class GANConfig(GeneratorConfig):
    """The keys of conf/gan/dcgan.yaml, which explains each of them."""

    noun: ClassVar[str] = "GAN"
    image_size: Literal[32, 64, 128]
    latent_dim: Annotated[int, Field(ge=1, le=4096)]
    width: Annotated[int, Field(ge=1, le=512)]
    discriminator_outputs: Literal[1, 2]
    loss: Literal["bce", "non_saturating", "minimax", "hinge", "lsgan", "wgan_gp", "relativistic"]
    regularizer: Literal["none", "r1", "r1_r2", "spectral_norm"]
    r1_gamma: Rate | None
    r1_every: Positive
    lecam: Rate | None
    learning_rate: Rate
    discriminator_learning_rate: Rate | None
    betas: list[Beta]
    ema: Positive | None
    diffaugment: str | None
    ada_target: Annotated[float, Field(gt=-1.0, lt=1.0)] | None
    transition: list[Share] | None
    random_flip: bool

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

    @field_validator("transition")
    @classmethod
    def _check_transition(cls, transition: list[float] | None) -> list[float] | None:
        if transition is not None and (len(transition) != 2 or transition[0] >= transition[1]):
            raise ValueError("is the shares of the training at which it begins and ends, such as [0.2, 0.6]")
        return transition

    @model_validator(mode="after")
    def _check_combinations(self) -> "GANConfig":
        if self.loss == "wgan_gp" and self.regularizer != "none":
            raise ValueError(
                f"regularizer={self.regularizer}: loss=wgan_gp has its own gradient penalty; use gan.regularizer=none, "
                "or another gan.loss"
            )
        if self.loss == "relativistic" and (self.regularizer != "r1_r2" or self.r1_gamma is None):
            raise ValueError(
                f"loss=relativistic: needs both penalties and their weight, here regularizer={self.regularizer} and "
                f"r1_gamma={self.r1_gamma}; use gan.regularizer=r1_r2 and, such as, gan.r1_gamma=0.3, or gan.loss=bce"
            )
        if self.r1_gamma is not None and not self.has_r1:
            raise ValueError(
                f"r1_gamma={self.r1_gamma}: is for regularizer=r1 and r1_r2, not {self.regularizer}; use "
                "gan.r1_gamma=null, or gan.regularizer=r1"
            )
        if self.ada_target is not None and self.diffaugment is None:
            raise ValueError(
                f"ada_target={self.ada_target}: adapts the probability of the augmentations in gan.diffaugment, which "
                "is null; set 'gan.diffaugment=\"color,translation\"', or gan.ada_target=null"
            )
        if self.ada_target is not None and self.loss in ("lsgan", *LOSSES_WITHOUT_ZERO):
            raise ValueError(
                f"ada_target={self.ada_target}: needs logits whose sign says real or generated, which those of "
                f"loss={self.loss} do not; use gan.loss=bce or hinge, or gan.ada_target=null"
            )
        if self.transition is not None and not self.conditional:
            raise ValueError(
                f"transition={self.transition}: is from a GAN without classes to one of all classes; use "
                "gan=conditional, or gan.transition=null"
            )
        for needs_one_output, setting in (
            (self.conditional, "conditional=true"),
            (self.loss in ("hinge", "lsgan", *LOSSES_WITHOUT_ZERO), f"loss={self.loss}"),
            (self.has_r1, f"regularizer={self.regularizer}"),
            (self.lecam is not None, f"lecam={self.lecam}"),
        ):
            if needs_one_output and self.discriminator_outputs != 1:
                raise ValueError(
                    f"{setting}: needs gan.discriminator_outputs=1, not {self.discriminator_outputs}; set it as well"
                )
        return self

    @property
    def has_r1(self) -> bool:
        """Whether the discriminator's loss has R1, alone or with R2."""
        return self.regularizer in ("r1", "r1_r2")

    @property
    def gamma(self) -> float | None:
        """The weight of R1, and of R2; None without them."""
        if not self.has_r1:
            return None
        return self.r1_gamma or default_gamma(self.image_size, self.batch_size)

    @property
    def penalty_every(self) -> int:
        """In every how many steps the discriminator's loss has its penalty on the gradient by its input."""
        return self.r1_every if self.has_r1 else 1

    @property
    def normalisation(self) -> Normalisation:
        """The normalisation of the discriminator's layers that the loss and the regularizer need."""
        if self.regularizer == "spectral_norm":
            return "spectral"
        return "layer" if self.loss == "wgan_gp" else "batch"

    @property
    def has_r1_or_gradient_penalty(self) -> bool:
        """Whether the discriminator's loss has a penalty on the gradient by its input."""
        return self.loss == "wgan_gp" or self.has_r1


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
