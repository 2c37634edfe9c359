"""What a classifier is trained on: the planned real images, generated or interpolated ones, and their counts."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from fer_experiments.audit.rejection import Rejection
from fer_experiments.balance import External, Generate, TrainingPlan
from fer_experiments.data.datamodule import ImageDataModule
from fer_experiments.data.dataset import ImageDataset
from fer_experiments.data.injection import GENERATED, ORIGIN_TITLES
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.synthetic import GeneratedImages, read_synthetic
from fer_experiments.data.unused import draw_unused_images
from fer_experiments.enumeration import MAX_NAMED
from fer_experiments.errors import ConfigError
from fer_experiments.random_streams import RandomStream
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.arms.external_images import draw_external_images
from fer_experiments.train.arms.joint import joint_datamodule
from fer_experiments.train.gan.generated_images import get_or_train_gan
from fer_experiments.train.gan.selection import count_generated_images, group_by_gan
from fer_experiments.train.settings import Settings


def get_or_make_generated_images(settings: Settings, data: PreparedData, arm: Arm, folder: Path) -> dict[str, Path]:
    """Return {class: folder of its generated images} if the arm needs a GAN; it is trained if need be.

    folder: of the GAN, or of several with a folder each. Raises ConfigError as `list_gans` does.
    """
    images: dict[str, Path] = {}
    for place, needed in list_gans(settings, data, [arm], folder).items():
        images |= generate_images(settings, data, [arm], needed, place)
    return images


def list_gans(settings: Settings, data: PreparedData, arms: Iterable[Arm], folder: Path) -> dict[Path, dict[str, int]]:
    """Return {folder of a GAN: {class: images to make}} for the arms that need one.

    That is a GAN for each class, in a folder of its own if there are several, or a conditional one for all classes.
    Raises ConfigError if gan.target_class is not the class of which images are needed.
    """
    needed = count_generated_images(settings, data, [arm for arm in arms if arm.balance.needs_generated_images])
    target = settings.gan.target_class
    if needed and target is not None and set(needed) != {target}:
        raise ConfigError(
            f"gan.target_class={target}: balance needs generated images of {', '.join(sorted(needed))}, and a GAN is "
            "trained for each of these classes. Use gan.target_class=null, or "
            "balance.sampling_strategy={CLASS: TOTAL}"
        )
    groups = group_by_gan(settings.gan, needed)
    return {folder / next(iter(group)) if len(groups) > 1 else folder: group for group in groups}


def generate_images(
    settings: Settings, data: PreparedData, arms: Sequence[Arm], needed: dict[str, int], folder: Path
) -> dict[str, Path]:
    """Return {class: folder of its generated images} of one GAN of `list_gans`; it is trained if need be.

    Args:
        settings: the configuration.
        data: the clean data.
        arms: those that need the GAN; either all of them leak, or none does.
        needed: {class: images to make}.
        folder: of the GAN.
    """
    rejection = Rejection.from_strategies(arm.balance for arm in arms)
    images = get_or_train_gan(settings, data, needed, folder, leak=arms[0].leak, rejection=rejection)
    return dict.fromkeys(needed, images)


def build_datamodule(
    settings: Settings, data: PreparedData, arm: Arm, plan: TrainingPlan, synthetic: dict[str, Path]
) -> ImageDataModule:
    """Return the planned training images, generated ones injected, in as many steps an epoch for every arm.

    Args:
        settings: the configuration.
        data: the images and their split.
        arm: the arm that is trained.
        plan: the plan of the arm's strategy.
        synthetic: {class: folder of the images of the run's GAN}.
    """
    if arm.joint is not None:
        return joint_datamodule(settings, data, plan, arm.joint)
    config = settings.classifier
    images = ImageDataModule(
        data,
        image_size=config.image_size,
        batch_size=config.batch_size,
        seed=settings.seed,
        train_indices=plan.indices,
        steps_per_epoch=data.steps_per_epoch(config.batch_size),
        augment=arm.augment,
    )
    if plan.added:
        images.inject(_load_added(settings, data, arm, plan, synthetic), plan.injection)
    return images


def _load_added(
    settings: Settings, data: PreparedData, arm: Arm, plan: TrainingPlan, synthetic: dict[str, Path]
) -> GeneratedImages:
    """Return the images that the plan adds, wherever they come from."""
    real_size = data.source.bottleneck or data.cache.images.shape[1]
    match plan.injection.origin:
        case "generated":
            if isinstance(arm.balance, External):
                return draw_external_images(settings, data, arm.balance, plan.added)
            return load_generated(data, arm, plan, synthetic)
        case "interpolated":
            return interpolate(settings, data, arm, real_size)
        case "copied":
            return read_real(data, draw_copies(data, plan.added, settings.seed), settings.gan.image_size)
        case "added_real":
            return read_real(data, draw_unused_images(data, plan.added, settings.seed), real_size)


def draw_copies(data: PreparedData, counts: dict[str, int], seed: int) -> np.ndarray:
    """Return the rows in the cache of counts = {class: number} training images, all of a class nearly equally often."""
    rng = np.random.default_rng([seed, RandomStream.RESAMPLING])
    rows, labels = data.split.rows("train"), data.split.labels("train")
    return np.concatenate([np.resize(rng.permutation(rows[labels == name]), counts[name]) for name in sorted(counts)])


def read_real(data: PreparedData, rows: np.ndarray, size: int) -> GeneratedImages:
    """Return the real images in these rows of the cache at `size` x `size` pixels, by way of data.bottleneck."""
    images = ImageDataset(data.cache.images, rows, np.zeros(len(rows), np.int64), size, data.source.bottleneck)
    pixels = images[list(range(len(rows)))][0].permute(0, 2, 3, 1).numpy()
    listed = data.cache.index.loc[rows]
    return GeneratedImages(pixels, listed["label"].to_numpy(str), listed["path"].to_numpy(str))


def load_generated(data: PreparedData, arm: Arm, plan: TrainingPlan, synthetic: dict[str, Path]) -> GeneratedImages:
    """Load the planned generated images from balance.synthetic, or from the folders of the run's GANs."""
    assert isinstance(arm.balance, Generate)
    reject, channels, split_hash = arm.balance.reject, data.source.stored_channels, data.split.hash
    folders = synthetic if arm.balance.synthetic is None else dict.fromkeys(plan.added, arm.balance.synthetic)
    distinct = GeneratedImages.join(
        [
            read_synthetic(folders[label], {label: count}, split_hash, channels, reject)
            for label, count in arm.balance.limit(plan.added).items()
        ]
    )
    places = [np.resize(np.flatnonzero(distinct.labels == label), count) for label, count in plan.added.items()]
    return distinct.take(np.concatenate(places))


def interpolate(settings: Settings, data: PreparedData, arm: Arm, size: int) -> GeneratedImages:
    """Let the arm's strategy interpolate training images at `size` x `size` pixels."""
    real = read_real(data, data.split.rows("train"), size)
    images, names = arm.balance.interpolate(real.images, real.labels, settings.seed)
    return GeneratedImages(images, names, np.array([f"{arm.name}/{place}" for place in range(len(names))]))


def count_used(labels: np.ndarray, plan: TrainingPlan) -> dict[str, int]:
    """Return {class: real training images that are used at least once}. labels (N,): of the training part."""
    return dict(sorted(Counter(labels[np.unique(plan.indices)].tolist()).items()))


def count_repeated(labels: np.ndarray, plan: TrainingPlan) -> dict[str, int]:
    """Return {class: places that repeat a real image}, without classes that have none."""
    extra = Counter(labels[plan.indices].tolist())
    extra.subtract(count_used(labels, plan))
    return {name: number for name, number in sorted(extra.items()) if number > 0}


def describe_counts(labels: np.ndarray, plan: TrainingPlan) -> str:
    """Return "820 angry + 80 generated, 900 happy", or of many classes "6,170 of 100 classes + 800 generated"."""
    additions = {"generated": plan.added_from(GENERATED), "repeated": count_repeated(labels, plan)}
    additions |= {title: plan.added_from(origin) for origin, title in ORIGIN_TITLES.items()}
    used = count_used(labels, plan)
    if len(used) > MAX_NAMED:
        totals = [f" + {sum(counts.values()):,} {kind}" for kind, counts in additions.items() if counts]
        return f"{sum(used.values()):,} of {len(used)} classes{''.join(totals)}"
    parts = []
    for name, number in used.items():
        extra = [f" + {counts[name]} {kind}" for kind, counts in additions.items() if counts.get(name)]
        parts.append(f"{number} {name}{''.join(extra)}")
    return ", ".join(parts)
