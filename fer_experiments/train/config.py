"""The whole composed configuration: read, checked, saved."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from pydantic import ValidationError
from yaml import YAMLError

from fer_experiments.atomic_write import atomic_write
from fer_experiments.errors import ConfigError
from fer_experiments.hydra_errors import EXPERIMENT_PACKAGE
from fer_experiments.runs.start import CONFIG_FILE
from fer_experiments.strict_config import CONF_DIR, GROUPS_OF_OBJECTS, build_config, check_targets_are_known
from fer_experiments.train.job import Job
from fer_experiments.train.settings import RunContext, Settings, to_container
from fer_experiments.trainer.callbacks.build import check_monitors
from fer_experiments.validation_errors import describe_errors

GROUPS = (
    "train",
    "data",
    "balance",
    "augment",
    "gan",
    "classifier",
    "joint",
    "reference_classifier",
    "encoder",
    "trainer",
)


class Config(Settings):
    """The settings and the job."""

    train: Job

    @classmethod
    def read(cls, composed: DictConfig, context: RunContext = RunContext()) -> "Config":  # noqa: B008
        """Check the configuration before any work, as far as that needs no torch; check_with_torch does the rest.

        Raises ConfigError, which lists every wrong key.
        """
        node = to_container(composed)
        for key in ("rerun", "plan_only"):  # they concern the start of the job alone (train/run.py)
            node.pop(key, None)
        errors: list[str] = []
        if isinstance(node.pop("experiment", None), dict):
            errors.append(f"experiment={context.choices.get('experiment')}: {EXPERIMENT_PACKAGE}")
        objects: dict[str, Any] = {}
        for group in GROUPS:
            try:
                objects[group] = build_config(group, node.get(group))
            except ConfigError as error:
                errors += str(error).splitlines()
        try:
            config = cls(**(node | objects))
        except ValidationError as error:
            wrong_groups = tuple(f"{group}{mark}" for group in set(GROUPS) - set(objects) for mark in ".:=")
            lines = describe_errors("", error, cls.model_fields, node)
            errors = _join_errors([line for line in lines if not line.startswith(wrong_groups)], errors)
        if errors:
            raise ConfigError("\n".join(errors))
        config.check_accelerator()
        check_monitors(config.callbacks)
        config.check_reference_classifier()
        config.check_checkpoint()
        return config.with_context(context)

    def check_checkpoint(self) -> None:
        """Raise ConfigError if the job needs `checkpoint` and has none, or has it and does not take it."""
        if self.train.takes_checkpoint and self.checkpoint is None:
            raise ConfigError(
                "checkpoint=null: train=evaluate measures a trained classifier; give "
                "checkpoint=multirun/RUN, the folder of its training"
            )
        if self.checkpoint is not None and not self.train.takes_checkpoint:
            raise ConfigError(
                f"checkpoint={self.checkpoint}: is the classifier that train=evaluate measures, and no other job takes "
                "it; leave it out, or give train=evaluate (ckpt_path, with which a training begins, is another key)"
            )


def _join_errors(root: list[str], groups: list[str]) -> list[str]:
    """Join the errors of root keys and of groups, without those of groups that take the wrong value of a root key."""
    repeated = tuple(f"{group}.{line.partition(':')[0]}:" for group in GROUPS for line in root)
    return [*root, *(line for line in groups if not line.startswith(repeated))]


def load_config(file: Path, trust: bool = False) -> DictConfig:
    """Load the config.yaml of a run, without its callbacks and loggers.

    Raises ConfigError if it can't be read or, without `trust`, if it names code that conf/ does not name.
    """
    try:
        loaded = OmegaConf.load(file)
    except (OSError, ValueError, YAMLError) as error:
        raise ConfigError(f"{file}: can't be read: {str(error).splitlines()[0]}") from None
    if not isinstance(loaded, DictConfig):
        raise ConfigError(f"{file}: is not the configuration of a run")
    for group in GROUPS_OF_OBJECTS:
        if group in loaded:
            loaded[group] = {}
    if OmegaConf.select(loaded, "gan.images_seen") is not None:
        OmegaConf.update(loaded, "gan.epochs", None)  # earlier versions wrote both, of which images_seen counted
    if "encoder" not in loaded:
        loaded.encoder = _take_former_encoder(loaded)
    if not trust:
        check_targets_are_known(str(file), OmegaConf.to_container(loaded))
    return loaded


def _take_former_encoder(loaded: DictConfig) -> Any:
    """Return the node of `encoder` for a run of an earlier version, with InceptionV3's weights at gan.inception."""
    weights = loaded.gan.pop("inception", None) if "gan" in loaded else None
    if weights is None:
        return OmegaConf.load(CONF_DIR / "encoder" / "reference.yaml")
    return OmegaConf.merge(OmegaConf.load(CONF_DIR / "encoder" / "inception.yaml"), {"weights": weights})


def save_config(composed: DictConfig, folder: Path) -> None:
    """Write the resolved configuration to config.yaml in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / CONFIG_FILE) as temporary:
        temporary.write_text(OmegaConf.to_yaml(composed, resolve=True))
