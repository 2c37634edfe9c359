"""The audits of all generated images that the arms of a run use."""

from collections import Counter
from pathlib import Path

from fer_experiments.audit.audit_generated import audit_generated
from fer_experiments.audit.rejection import Rejection
from fer_experiments.balance import External, Generate
from fer_experiments.data.leak import leak_to_gan
from fer_experiments.data.prepared import PreparedData
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.settings import Settings


def audit_arms(
    settings: Settings, data: PreparedData, arms: dict[Path, Arm], synthetic: dict[str, Path], leak: bool = False
) -> None:
    """Audit the images of the run's own GANs, into the GANs' folders, and those of balance.synthetic, into the arms'.

    Args:
        settings: the configuration.
        data: the clean data.
        arms: {folder: arm}. If an arm has images of several classes in balance.synthetic, each gets a folder in it.
        synthetic: {class: folder of the images of the run's GAN}, each inside its GAN's folder.
        leak: whether the arms are those that leak.
    """
    counts: Counter[str] = Counter()
    rejection = Rejection.from_strategies(arm.balance for arm in arms.values() if arm.balance.needs_generated_images)
    gan_data = leak_to_gan(data) if leak else data
    for folder, arm in arms.items():
        planned = arm.balance.count_generated(data.split.labels("train"), settings.seed)
        if arm.balance.needs_generated_images:
            counts |= Counter(planned)
        elif isinstance(arm.balance, External):
            continue  # these decide whether the arm is trained at all (external_images.py)
        elif isinstance(arm.balance, Generate) and arm.balance.synthetic is not None:
            for label, count in planned.items():
                place = folder / label if len(planned) > 1 else folder
                audit_generated(
                    settings.audit_settings,
                    gan_data,
                    label,
                    count,
                    arm.balance.synthetic,
                    place,
                    arm.balance.reject,
                )
    for label, images in synthetic.items():
        is_shared = list(synthetic.values()).count(images) > 1  # of a conditional GAN, with a folder for each class
        place = images.parent / label if is_shared else images.parent
        audit_generated(settings.audit_settings, gan_data, label, counts[label], images, place, rejection.by_all)
