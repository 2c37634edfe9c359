"""train=cnn, train=joint: train one classifier, under one balancing strategy and one augmentation."""

from pathlib import Path
from typing import TYPE_CHECKING

from fer_experiments.balance import Joint
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.result import Result
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.arms.check_external import check_external
from fer_experiments.train.arms.check_joint import check_joint
from fer_experiments.train.arms.generator import with_generator
from fer_experiments.train.check_training import check_ckpt_path, check_gan_trainings, check_generators
from fer_experiments.train.job import Job
from fer_experiments.train.settings import Settings
from fer_experiments.train.sweep_objective import valid_balanced_accuracy

if TYPE_CHECKING:
    from fer_experiments.train.plan.plan import Plan


class TrainCNN(Job):
    """Train the classifier once. Under balance=joint a GAN is trained together with it."""

    def check(self, settings: Settings) -> None:
        check_ckpt_path(settings)
        arm = arm_of_run(settings)
        check_joint(settings, arm)
        check_external(arm)
        check_gan_trainings(settings, [arm])

    def check_with_torch(self, settings: Settings) -> None:
        check_generators([arm_of_run(settings)])

    def plan(self, settings: Settings, folder: Path | None = None) -> "Plan | None":
        from fer_experiments.train.plan.make_plan import plan_arms

        return plan_arms(settings, [arm_of_run(settings)])

    def run(self, settings: Settings, folder: Path, plan: "Plan | None" = None) -> None:
        from fer_experiments.train.arms.run_arm import run_arm

        run_arm(settings, arm_of_run(settings), folder)

    def check_objective(self, settings: Settings) -> None:
        """Accept everything: every classifier is measured on validation."""

    def objective(self, folder: Path) -> float:
        return valid_balanced_accuracy([Result.load(folder)])


def arm_of_run(settings: Settings) -> Arm:
    """Return the arm that the run's own balance and augment are. Needs Hydra to be set up."""
    name = ArmName(settings.context.choices["balance"], settings.context.choices["augment"])
    joint = settings.joint if isinstance(settings.balance, Joint) else None
    return with_generator(Arm(str(name), settings.balance, settings.augment, joint), settings)
