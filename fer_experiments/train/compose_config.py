"""The checked configuration of overrides, for commands that are no job of Hydra's."""

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

import fer_experiments.run_naming  # noqa: F401 - registers the resolvers that conf/config.yaml names
from fer_experiments.strict_config import CONF_DIR
from fer_experiments.train.config import Config


def compose_config(*overrides: str) -> Config:
    """Return the configuration of conf/ with overrides as Hydra reads them. Raises ConfigError if it is wrong."""
    return Config.read(compose_nodes(*overrides))


def compose_nodes(*overrides: str) -> DictConfig:
    """Return the same unchecked, as Hydra composes it."""
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("config", overrides=list(overrides))
