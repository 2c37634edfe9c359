"""The generated images of a run: from a GAN that is trained, was trained before, or is given."""

import logging
from pathlib import Path

from fer_experiments.audit.image_scores import ImageScorer
from fer_experiments.audit.reference_training import get_or_train_reference_classifier
from fer_experiments.audit.rejection import Rejection
from fer_experiments.data.leak import leak_to_gan
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.synthetic import is_complete
from fer_experiments.distributed import on_rank_zero
from fer_experiments.enumeration import enumerate_names
from fer_experiments.errors import ConfigError
from fer_experiments.gan.trained import TrainedGenerator
from fer_experiments.train.gan.fit import chosen_checkpoint, fit_gan
from fer_experiments.train.gan.rejection_sampling import draw_images
from fer_experiments.train.gan.selection import classes_to_train, describe_gan
from fer_experiments.train.gan.sharing import gan_fingerprint, get_or_train_shared
from fer_experiments.train.settings import Settings
from fer_experiments.trainer.callbacks.checkpoints import find_checkpoint
from fer_experiments.trainer.fingerprint import load_finished

log = logging.getLogger(__name__)
SYNTHETIC_FOLDER = "synthetic"


def get_or_train_gan(
    settings: Settings,
    data: PreparedData,
    needed: dict[str, int],
    folder: Path,
    *,
    leak: bool = False,
    rejection: Rejection = Rejection(),  # noqa: B008
) -> Path:
    """Train the GAN, or take the one that was trained before, and write images of it; return their folder.

    A conditional GAN is trained on all training images, another on those of the one class that is needed. With
    gan.pretrained that GAN's images are written, nothing is trained, and there is no result.json. What an earlier start
    of this training left in `folder` is continued.

    Args:
        settings: the configuration.
        data: the clean data.
        needed: {class: images to write}.
        folder: where the GAN and its images are written.
        leak: train on the test images as well, in as many steps.
        rejection: for which faults other images are drawn.
    """
    clean_data, data = data, leak_to_gan(data) if leak else data
    if settings.gan.pretrained is not None:
        generator = _load_pretrained(settings, settings.gan.pretrained, data, needed)
        written = _write_images(settings, data, generator, needed, folder, rejection)
        _log_written(f"{settings.gan.pretrained} (not trained here)", written, folder)
        return folder / SYNTHETIC_FOLDER
    classes = classes_to_train(settings.gan, data, needed)
    fingerprint = gan_fingerprint(settings, data, classes)
    result = load_finished(folder, fingerprint) or get_or_train_shared(
        settings,
        fingerprint,
        describe_gan(settings.gan, classes),
        folder,
        lambda: fit_gan(settings, data, clean_data, classes, fingerprint, folder),
    )
    if result.generated and is_complete(folder / SYNTHETIC_FOLDER):
        log.info("the GAN in %s is trained and its images are written already", folder)
        return folder / SYNTHETIC_FOLDER
    generator = TrainedGenerator.load(
        chosen_checkpoint(settings.gan, folder), settings.gan.module_target, device=settings.trainer.first_device
    )
    written = _write_images(settings, data, generator, needed, folder, rejection)
    _log_written(describe_gan(settings.gan, classes), written, folder)
    on_rank_zero(result.model_copy(update={"generated": written}).save)(folder)
    return folder / SYNTHETIC_FOLDER


@on_rank_zero
def _write_images(
    settings: Settings,
    data: PreparedData,
    generator: TrainedGenerator,
    needed: dict[str, int],
    folder: Path,
    rejection: Rejection,
) -> dict[str, int]:
    """Write needed = {class: images}; return {class: images accepted}."""
    if not rejection.by_any:
        return draw_images(generator, needed, folder / SYNTHETIC_FOLDER)
    reference = get_or_train_reference_classifier(settings.audit_settings, data)
    size = settings.classifier.image_size
    return draw_images(
        generator,
        needed,
        folder / SYNTHETIC_FOLDER,
        rejection,
        lambda label: ImageScorer(data, reference, label, size),
    )


def _load_pretrained(settings: Settings, path: Path, data: PreparedData, needed: dict[str, int]) -> TrainedGenerator:
    """Load a GAN that was trained elsewhere. Raises ConfigError if its classes, channels or split differ."""
    key = f"gan.pretrained={path}"
    try:
        generator = TrainedGenerator.load(
            find_checkpoint(path, generator=True),
            settings.gan.module_target,
            "gan.module._target_=",
            settings.trainer.first_device,
        )
    except ConfigError as error:
        raise ConfigError(f"gan.pretrained={error}") from None
    missing = ", ".join(sorted(set(needed) - set(generator.classes)))
    if missing:
        scope = "one class" if len(generator.classes) == 1 else "its own classes"
        raise ConfigError(
            f"{key}: makes images of {', '.join(generator.classes)}, but {missing} is needed; a checkpoint serves "
            f"{scope}. Give a checkpoint of {missing}, or train with gan.pretrained=null"
        )
    channels = data.source.stored_channels
    if generator.stored_channels != channels:
        raise ConfigError(
            f"{key}: makes images of {generator.stored_channels} channel(s), but these data are read with {channels}; "
            "set data.grayscale and data.channels as in its run, or train with gan.pretrained=null"
        )
    if generator.split_hash != data.split.hash:
        raise ConfigError(
            f"{key}: was trained on the split {generator.split_hash}, but this run's split is {data.split.hash}; the "
            "GAN may have seen validation or test images. Set the data keys and the seed as in its run (a checkpoint "
            "serves one seed), or train with gan.pretrained=null"
        )
    return generator


def _log_written(name: str, written: dict[str, int], folder: Path) -> None:
    counts = enumerate_names([f"{count} of {label}" for label, count in written.items()])
    log.info("%s: %d images written to %s: %s", name, sum(written.values()), folder / SYNTHETIC_FOLDER, counts)
