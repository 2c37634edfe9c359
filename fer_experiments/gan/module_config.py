"""The configuration of a generator whose LightningModule a `_target_` names, conf/gan/custom.yaml."""

from typing import Any

from fer_experiments.errors import ConfigError
from fer_experiments.gan.generator_config import GeneratorConfig
from fer_experiments.strict_config import check_signature, locate_target

SUPPLIED = ("num_classes", "channels", "image_size")


class ModuleConfig(GeneratorConfig):
    """The keys of conf/gan/custom.yaml, which explains each of them.

    module: the `_target_` of a LightningModule that takes num_classes (None if the generator is not conditional),
    channels and image_size, and its other arguments.
    """

    module: dict[str, Any]

    @property
    def module_target(self) -> str | None:
        return self.module.get("_target_")

    def check_with_torch(self) -> None:
        """Raise ConfigError unless the class exists, is a LightningModule with `sample`, and takes the arguments."""
        import lightning

        module_class = locate_target("gan.module._target_", self.module_target)
        if not (isinstance(module_class, type) and issubclass(module_class, lightning.LightningModule)):
            raise ConfigError(f"gan.module._target_={self.module_target}: is not a LightningModule")
        if not callable(getattr(module_class, "sample", None)):
            raise ConfigError(
                f"gan.module._target_={self.module_target}: has no method sample(labels, seeds), which returns images "
                "(N, C, S, S) in [0, 1]"
            )
        check_signature("gan.module", self.module, *SUPPLIED)
