"""What a classifier is trained on: the planned real images, generated ones found or made, and their counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fer_experiments.balance import Generate, Plan
from fer_experiments.data.module import INTERPOLATED, ImageData, ImageDataModule, Images
from fer_experiments.data.synthetic import GeneratedImages, read_synthetic
from fer_experiments.errors import ConfigError
from fer_experiments.train.arm import Arm
from fer_experiments.train.build import steps_per_epoch
from fer_experiments.train.dcgan import images_needed, train_gan
from fer_experiments.train.draw import Rejection
from fer_experiments.train.joint import joint_images

if TYPE_CHECKING:
    from fer_experiments.train.config import Config


def images_for_all(config: Config, data: ImageData, arms: Iterable[Arm]) -> dict[str, int]:
    """{class: generated images} that serve every one of the arms."""
    needed: Counter[str] = Counter()
    for arm in arms:
        needed |= Counter(images_needed(arm.balance, data, config.seed))  # | is the larger of both
    return dict(needed)


def find_synthetic(
    config: Config, data: ImageData, arms: Iterable[Arm], folder: Path, leak: bool = False
) -> dict[str, Path]:
    """{class: folder of its generated images} for what the arms need and don't bring.

    Trains a GAN for each class, or a conditional one for all. The arms are all clean, or with `leak` all leaking.
    """
    needy = [arm for arm in arms if arm.balance.needs_images]
    needed, reject = images_for_all(config, data, needy), Rejection.of(arm.balance for arm in needy)
    named = config.gan.target_class
    if needed and named is not None and set(needed) != {named}:
        raise ConfigError(
            f"gan.target_class={named}: balance needs generated images of {', '.join(sorted(needed))}; a GAN is "
            "trained for each of these. Use gan.target_class=null, or balance.sampling_strategy={CLASS: TOTAL}"
        )
    if config.gan.conditional:
        return dict.fromkeys(needed, train_gan(config, data, needed, folder, leak, reject)) if needed else {}
    several = len(needed) > 1
    return {
        label: train_gan(config, data, {label: count}, folder / label if several else folder, leak, reject)
        for label, count in sorted(needed.items())
    }


def load_generated(
    config: Config, data: ImageData, arm: Arm, plan: Plan, synthetic: dict[str, Path]
) -> GeneratedImages | None:
    """The generated images that a plan asks for, from the arm's own folder or from the GANs trained here."""
    if not plan.generated:
        return None
    assert isinstance(arm.balance, Generate)
    own, reject = arm.balance.synthetic, arm.balance.reject
    channels, split_hash = config.data.stored_channels, data.split.hash
    if own is not None:
        return read_synthetic(own, plan.generated, split_hash, channels, reject)
    return GeneratedImages.join(
        [
            read_synthetic(synthetic[label], {label: count}, split_hash, channels, reject)
            for label, count in plan.generated.items()
        ]
    )


def build_images(config: Config, data: ImageData, arm: Arm, plan: Plan, synthetic: dict[str, Path]) -> ImageDataModule:
    """The planned training images, generated ones injected, in as many steps an epoch for every arm."""
    if arm.joint is not None:
        return joint_images(config, data, plan, arm.joint)
    settings = config.classifier
    images = ImageDataModule(
        data,
        image_size=settings.image_size,
        batch_size=settings.batch_size,
        seed=config.seed,
        train_indices=plan.indices,
        steps_per_epoch=steps_per_epoch(data, settings.batch_size),
        augment=arm.augment,
    )
    generated = load_generated(config, data, arm, plan, synthetic)
    if generated is not None:
        images.inject(generated, injection=plan.injection)
    if plan.interpolated:
        images.inject(interpolate(config, data, arm), INTERPOLATED)
    return images


def interpolate(config: Config, data: ImageData, arm: Arm) -> GeneratedImages:
    """What the arm's strategy makes of the training images, at the size at which a GAN's would come in."""
    rows, labels = data.split.rows("train"), data.split.labels("train")
    side = config.data.bottleneck or data.cache.images.shape[1]
    real = Images(data.cache.images, rows, data.class_indices(labels), side)
    pixels = real[list(range(len(real)))][0].permute(0, 2, 3, 1).numpy()
    images, names = arm.balance.interpolate(pixels, labels, config.seed)
    return GeneratedImages(images, names, np.array([f"{arm.name}/{place}" for place in range(len(names))]))


def used(labels: np.ndarray, plan: Plan) -> dict[str, int]:
    """{class: real training images that the plan has at least once}."""
    return dict(sorted(Counter(labels[np.unique(plan.indices)].tolist()).items()))


def repeated(labels: np.ndarray, plan: Plan) -> dict[str, int]:
    """{class: how many training places are repeats of a real image}, classes without repeats left out."""
    extra = Counter(labels[plan.indices].tolist())
    extra.subtract(used(labels, plan))
    return {name: number for name, number in sorted(extra.items()) if number > 0}


def describe_counts(labels: np.ndarray, plan: Plan) -> str:
    """ "820 angry + 80 generated, 900 happy"."""
    added = {"generated": plan.generated, "repeated": repeated(labels, plan), "interpolated": plan.interpolated}
    parts = []
    for name, number in used(labels, plan).items():
        made = [f" + {counts[name]} {what}" for what, counts in added.items() if counts.get(name)]
        parts.append(f"{number} {name}{''.join(made)}")
    return ", ".join(parts)
