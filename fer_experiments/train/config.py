"""The composed configuration as typed objects; only train/ sees it."""

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import Field, ValidationError
from yaml import YAMLError

from fer_experiments.augment import Augment
from fer_experiments.balance import Strategy
from fer_experiments.classifier import ClassifierConfig
from fer_experiments.classifier.head import last_linear
from fer_experiments.data.source import Source
from fer_experiments.errors import ConfigError
from fer_experiments.gan import GANConfig
from fer_experiments.joint import JointConfig
from fer_experiments.spec import Spec, build, check_own_targets, describe_errors
from fer_experiments.train.job import Job
from fer_experiments.train.trainer import TrainerConfig
from fer_experiments.whole import whole

GROUPS = ("train", "data", "balance", "augment", "gan", "classifier", "joint", "trainer")
BUILT = (*GROUPS, "judge")  # the judge is another classifier, from the same folder of conf/


class Config(Spec):
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    accelerator: Literal["auto", "cpu", "gpu"]
    train: Job
    data: Source
    balance: Strategy
    augment: Augment
    gan: GANConfig
    classifier: ClassifierConfig
    joint: JointConfig
    judge: ClassifierConfig
    trainer: TrainerConfig
    gans_since: float = 0.0  # no key: kept GANs older than this, in seconds since 1970, are trained again (rerun=true)

    @classmethod
    def read(cls, composed: DictConfig) -> "Config":
        """Check everything before any work. ConfigError lists every wrong key."""
        node = to_dict(composed)
        node.pop("rerun", None)  # which says nothing of what is done; begin() has read it
        errors: list[str] = []
        built: dict[str, Any] = {}
        for group in BUILT:
            try:
                built[group] = build(group, node.get(group))
            except ConfigError as error:
                errors.append(str(error))
        try:
            if not errors:
                config = cls(**(node | built))
                config._check_network()
                return config
            unknown = sorted(set(node) - set(cls.model_fields))
            errors += [f"{key}: unknown key" for key in unknown]
        except ValidationError as error:
            errors += describe_errors("", error, cls.model_fields)
        raise ConfigError("\n".join(errors))

    def _check_network(self) -> None:
        """Build the classifiers without memory or random draws, so that a bad value shows before the GAN is trained."""
        built = {}
        for group, settings in (("classifier", self.classifier), ("judge", self.judge)):
            try:
                with torch.device("meta"):
                    built[group] = settings.build_network(2, self.data.channels)
            except Exception as error:  # a user's network may raise anything
                raise ConfigError(f"{group}.network={settings.network}: {error}") from None
        if last_linear(built["judge"], 2) is None:
            raise ConfigError(
                f"judge.network={self.judge.network}: has no nn.Linear with as many outputs as classes, whose inputs "
                "are the features; choose another network"
            )
        if self.judge.select != "last":
            raise ConfigError(f"judge.select={self.judge.select}: the judge is always the last epoch's; use last")


def to_dict(composed: DictConfig) -> dict[str, Any]:
    """Plain containers, interpolations resolved. Raises ConfigError for a ??? that was not given."""
    try:
        node = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "configuration"
        raise ConfigError(f"{key}: {str(error).splitlines()[0]}; give it as {key}=VALUE") from None
    assert isinstance(node, dict)
    return {str(key): value for key, value in node.items()}


def load(file: Path, trust: bool = False) -> DictConfig:
    """config.yaml of a run. Raises ConfigError where it is none, or unless `trust` names code that conf/ does not."""
    try:
        loaded = OmegaConf.load(file)
    except (OSError, ValueError, YAMLError) as error:
        raise ConfigError(f"{file}: can't be read: {str(error).splitlines()[0]}") from None
    if not isinstance(loaded, DictConfig):
        raise ConfigError(f"{file}: is no configuration of a run")
    if not trust:
        check_own_targets(str(file), OmegaConf.to_container(loaded))
    return loaded


def save(composed: DictConfig, folder: Path) -> None:
    """Write the resolved configuration as config.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / "config.yaml") as temporary:
        temporary.write_text(OmegaConf.to_yaml(composed, resolve=True))
