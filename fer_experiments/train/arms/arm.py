"""What a classifier is trained under."""

from collections.abc import Iterable
from dataclasses import dataclass

from fer_experiments.augment import Augment
from fer_experiments.balance import Generate, InjectGenerated, Strategy
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.gan import GeneratorConfig
from fer_experiments.joint import JointConfig
from fer_experiments.report.gan_files import GAN_FOLDER
from fer_experiments.run_naming import UNSAFE_CHARACTERS
from fer_experiments.trainer.callbacks.build import CLASSIFIER_METRICS, METRICS


@dataclass(frozen=True)
class Arm:
    """A named combination of a balancing strategy and an augmentation.

    joint: how a GAN is trained together with the classifier; None if none is. leak: test images are used on purpose
    where none must be (data/leak.py). gan: the generator of its images, if that is not the run's own; None: it is.
    """

    name: str
    balance: Strategy
    augment: Augment
    joint: JointConfig | None = None
    leak: bool = False
    gan: GeneratorConfig | None = None

    @property
    def adds_generated_images(self) -> bool:
        """Whether its classifier is to learn from generated images, wherever they come from."""
        return self.joint is not None or (isinstance(self.balance, InjectGenerated) and self.balance.add != 0)

    @property
    def metrics(self) -> tuple[str, ...]:
        """How the names of its training's metrics begin."""
        return CLASSIFIER_METRICS if self.joint is None else METRICS

    @property
    def gan_folder(self) -> str:
        """The name of the folder of the generator, which the arms of a seed share: gan, gan_leak, gan-diffusion."""
        leak = "_leak" if self.leak else ""
        if self.gan is None:
            return GAN_FOLDER + leak
        keys = [f"{key}={value}" for key, value in ArmName.parse(self.name).values.items() if key.startswith("gan.")]
        option = self.balance.gan if isinstance(self.balance, Generate) else None
        name = "_".join([*([] if option is None else [option]), *keys])
        return UNSAFE_CHARACTERS.sub("_", f"{GAN_FOLDER}-{name}") + leak

    @property
    def folder(self) -> str:
        """The name of the arm's folder."""
        return ArmName.parse(self.name).folder


def group_by_generator(arms: Iterable[Arm]) -> dict[str, list[Arm]]:
    """Return {gan_folder: the arms that share the generator of this folder}; those without one are left out."""
    groups: dict[str, list[Arm]] = {}
    for arm in arms:
        if arm.balance.needs_generated_images:
            groups.setdefault(arm.gan_folder, []).append(arm)
    return groups
