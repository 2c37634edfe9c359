"""train=dcgan, train=diffusion: train a generator, on one class or on all; write the images that balance needs."""

from pathlib import Path
from typing import TYPE_CHECKING

from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from fer_experiments.train.check_training import check_ckpt_path, check_gan_training
from fer_experiments.train.job import Job
from fer_experiments.train.settings import Settings
from fer_experiments.train.sweep_objective import negative_kid

if TYPE_CHECKING:
    from fer_experiments.train.plan.plan import Plan


class TrainGenerator(Job):
    """Train the generator, write its images and audit them."""

    def check(self, settings: Settings) -> None:
        check_ckpt_path(settings)
        check_gan_training(settings, f"train={settings.context.choices['train']}")
        if settings.ckpt_path is not None and settings.gan.pretrained is not None:
            raise ConfigError(
                f"ckpt_path={settings.ckpt_path}: with gan.pretrained={settings.gan.pretrained} nothing is trained; "
                "leave out one of them"
            )

    def plan(self, settings: Settings, folder: Path | None = None) -> "Plan | None":
        from fer_experiments.train.plan.make_plan import plan_gan_alone

        return plan_gan_alone(settings)

    def run(self, settings: Settings, folder: Path, plan: "Plan | None" = None) -> None:
        from fer_experiments.train.gan.run_gan import run_gan

        run_gan(settings, folder)

    def check_objective(self, settings: Settings) -> None:
        if settings.gan.kid_every is None or settings.gan.pretrained is not None:
            raise ConfigError(
                f"hydra/sweeper: a generator has nothing to maximize with gan.kid_every={settings.gan.kid_every} and "
                f"gan.pretrained={settings.gan.pretrained}; use gan.kid_every=25, for the distance from validation "
                "images, and gan.pretrained=null, or train=cnn"
            )

    def objective(self, folder: Path) -> float:
        return negative_kid(Result.load(folder))
