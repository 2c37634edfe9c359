"""The composed configuration as typed objects, all of it but the job (train/config.py)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import Field, PrivateAttr

from fer_experiments.audit.settings import AuditSettings
from fer_experiments.augment import Augment
from fer_experiments.balance import Strategy
from fer_experiments.classifier import ClassifierConfig
from fer_experiments.data.sources import DataSource
from fer_experiments.encoder import Encoder
from fer_experiments.errors import ConfigError
from fer_experiments.gan import GeneratorConfig
from fer_experiments.joint import JointConfig
from fer_experiments.strict_config import ObjectNodes, StrictConfig, UserPath, check_signature
from fer_experiments.trainer import TrainerConfig
from fer_experiments.trainer.callbacks.build import build_callbacks

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True)
class RunContext:
    """What a job knows of its run beside the configuration.

    choices: {group: chosen file of conf/}. retrain_gans_before: kept GANs that are older than this, in seconds since
    1970, are trained again (rerun=true). run_folder: of the single run, or of the sweep that the job belongs to.
    """

    choices: Mapping[str, str] = field(default_factory=dict)
    retrain_gans_before: float = 0.0
    run_folder: Path | None = None


class Settings(StrictConfig):
    """The groups of conf/ as objects. `context` is no key: it is given by whoever reads the configuration."""

    checkpoint: UserPath | None
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    tags: list[str]
    ckpt_path: UserPath | None
    data: DataSource
    balance: Strategy
    augment: Augment
    gan: GeneratorConfig
    classifier: ClassifierConfig
    joint: JointConfig
    reference_classifier: ClassifierConfig
    encoder: Encoder
    trainer: TrainerConfig
    callbacks: ObjectNodes
    logger: ObjectNodes
    _context: RunContext = PrivateAttr(default_factory=RunContext)

    @property
    def context(self) -> RunContext:
        return self._context

    def with_context(self, context: RunContext) -> "Self":
        """Return a copy that belongs to this run."""
        copy = self.model_copy()
        copy._context = context
        return copy

    def with_seed(self, seed: int) -> "Self":
        """Return a copy with another seed."""
        return self.model_copy(update={"seed": seed})

    def with_gan(self, gan: GeneratorConfig | None) -> "Self":
        """Return a copy with another generator; None: the same."""
        return self if gan is None else self.model_copy(update={"gan": gan})

    @property
    def audit_settings(self) -> AuditSettings:
        """What the audits of generated images depend on."""
        return AuditSettings(
            reference_classifier=self.reference_classifier,
            trainer=self.trainer,
            classifier_image_size=self.classifier.image_size,
            gan_image_size=self.gan.image_size,
            encoder=self.encoder,
            seed=self.seed,
        )

    def check_objects(self) -> None:
        """Raise ConfigError for a callback that can't be built, and for a logger whose class takes other keys."""
        for group, nodes in (("callbacks", self.callbacks), ("logger", self.logger)):
            for name, node in nodes.items():
                check_signature(f"{group}.{name}", node)
        build_callbacks(self.callbacks, ())  # a logger isn't built, which may open a connection

    def check_accelerator(self) -> None:
        """Raise ConfigError if trainer=cpu or trainer=gpu contradicts `accelerator`, which would have no effect."""
        if self.accelerator not in ("auto", self.trainer.accelerator):
            raise ConfigError(
                f"accelerator={self.accelerator}: the trainer has accelerator={self.trainer.accelerator}; leave out "
                "accelerator, or give a trainer that does not choose one, such as trainer=auto"
            )

    def check_reference_classifier(self) -> None:
        """Raise ConfigError unless the reference classifier is that of the last epoch."""
        if self.reference_classifier.checkpoint != "last":
            raise ConfigError(
                f"reference_classifier.checkpoint={self.reference_classifier.checkpoint}: the reference classifier is "
                "always that of the last epoch; use last"
            )


def to_container(composed: DictConfig) -> dict[str, Any]:
    """Return plain containers with interpolations resolved. Raises ConfigError for a ??? that was not given."""
    try:
        node = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "configuration"
        raise ConfigError(f"{key}: {str(error).splitlines()[0]}; give it as {key}=VALUE") from None
    assert isinstance(node, dict)
    return {str(key): value for key, value in node.items()}
