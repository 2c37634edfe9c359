"""Whether the images of a generator from elsewhere can be an arm."""

from pathlib import Path
from typing import TYPE_CHECKING

from fer_experiments.balance import External
from fer_experiments.conf_files import list_options
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.arm_name import LEAK_SUFFIX, ArmName
from fer_experiments.train.arms.arm import Arm

if TYPE_CHECKING:
    from fer_experiments.data.prepared import PreparedData


def check_external(arm: Arm) -> None:
    """Raise ConfigError if the arm takes its images from a folder of another generator and can't."""
    if not isinstance(arm.balance, External):
        return
    folder, name = arm.balance.synthetic, arm.balance.name
    if not folder.is_dir():
        raise ConfigError(
            f"balance.synthetic={folder}: {arm.name}: is not a folder; give one that holds CLASS/*.png or *.jpg"
        )
    if arm.leak:
        raise ConfigError(f"train.arms: {arm.name}: what its generator has seen is not known; leave out {LEAK_SUFFIX}")
    if name is not None and name in list_options("balance"):
        raise ConfigError(f"balance.name={name}: {arm.name}: is the name of a strategy; choose another one")
    if name is not None and name != ArmName.parse(arm.name).balance:
        raise ConfigError(
            f"balance.name={name}: names an arm of train.arms, in its brackets: 'external [balance.synthetic={folder}, "
            f"balance.name={name}]'"
        )


def list_external_images(data: "PreparedData", balance: External, needed: dict[str, int]) -> dict[str, list[Path]]:
    """Return {class: image files} of the folder. Raises ConfigError if it has fewer than needed = {class: images}."""
    from fer_experiments.data.class_folders import list_class_folders  # imports pandas

    files = list_class_folders(balance.synthetic, data.classes)
    available = {label: len(files.get(label, [])) for label in needed}
    for label, count in needed.items():
        if available[label] < count:
            fewer = {name: min(number, available[name]) for name, number in needed.items()}
            listed = ", ".join(f"{name}: {number}" for name, number in fewer.items() if number)
            remedy = f", or ask for fewer: balance.add={{{listed}}}" if listed else ""
            raise ConfigError(
                f"balance.synthetic={balance.synthetic}: has {available[label]} images of {label}, {count} are needed; "
                f"add some{remedy}"
            )
    return files
