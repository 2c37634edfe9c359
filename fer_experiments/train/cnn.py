"""train=cnn, train=joint: train one classifier, under one balancing strategy and one augmentation."""

import logging
from pathlib import Path

from fer_experiments.balance import Joint
from fer_experiments.data.prepared import PreparedData
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.evaluation.result import Result
from fer_experiments.runs.data_files import write_data_files
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.arms.audit_arms import audit_arms
from fer_experiments.train.arms.joint import check_joint
from fer_experiments.train.arms.train_classifier import GAN_FOLDER, describe_result, train_classifier
from fer_experiments.train.arms.training_images import count_generated_images, get_or_make_generated_images
from fer_experiments.train.check_training import check_accumulation
from fer_experiments.train.job import Job
from fer_experiments.train.settings import Settings
from fer_experiments.train.sweep_objective import valid_balanced_accuracy

log = logging.getLogger(__name__)


class TrainCNN(Job):
    """Train the classifier once. Under balance=joint a GAN is trained together with it."""

    def check(self, settings: Settings) -> None:
        check_joint(settings, arm_of_run(settings))
        check_accumulation(settings, [arm_of_run(settings)])

    def run(self, settings: Settings, folder: Path) -> None:
        data = PreparedData.prepare(settings.data, settings.seed)
        arm = arm_of_run(settings)
        write_data_files(folder, data, count_generated_images(settings, data, [arm]))
        gan_settings = settings.model_copy(update={"ckpt_path": None})  # which is the classifier's
        synthetic = get_or_make_generated_images(gan_settings, data, [arm], folder / GAN_FOLDER)
        audit_arms(settings, data, {folder: arm}, synthetic)
        result = train_classifier(settings, data, arm, synthetic, folder)
        log.info("%s", describe_result(result))

    def check_objective(self, settings: Settings) -> None:
        """Accept everything: every classifier is measured on validation."""

    def objective(self, folder: Path) -> float:
        return valid_balanced_accuracy([Result.load(folder)])


def arm_of_run(settings: Settings) -> Arm:
    """Return the arm that the run's own balance and augment are."""
    name = ArmName(settings.context.choices["balance"], settings.context.choices["augment"])
    joint = settings.joint if isinstance(settings.balance, Joint) else None
    return Arm(str(name), settings.balance, settings.augment, joint)
