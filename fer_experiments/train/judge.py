"""Train the judge of a split, or find it where an earlier run left it."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import lightning
import numpy as np
import torch
from filelock import FileLock
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn

from fer_experiments.augment import Traditional
from fer_experiments.balance import Plan
from fer_experiments.balance.sampling import repeat
from fer_experiments.classifier.averaging import WeightAverage
from fer_experiments.classifier.inception import Inception
from fer_experiments.classifier.judge import Judge
from fer_experiments.data.module import ImageData, ImageDataModule
from fer_experiments.data.synthetic import GeneratedImages
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.metrics import classification_metrics
from fer_experiments.train.build import build_classifier, steps_per_epoch
from fer_experiments.train.trainer import save_whole

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

log = logging.getLogger(__name__)
VERSION = 1  # of how the judge is trained and kept; a new one trains anew
SEED = 0  # the judge belongs to a split, whichever run asks for it
AUGMENT = Traditional(flip=0.5, degrees=10.0, translate=0.08, scale=0.1)  # as conf/augment/traditional.yaml
REPORTED = ("balanced_accuracy", "recall", "images")


class Eye(Protocol):
    """What images are compared in: features (N, D) of images (N, C, S, S) uint8 of side image_size."""

    @property
    def image_size(self) -> int: ...

    def features(self, images: Tensor) -> Tensor: ...


def eye_of(config: Config, judge: Judge) -> Eye:
    """The judge, or with gan.inception the network of that file."""
    weights = config.gan.inception
    return judge if weights is None else Inception(weights, config.gan.image_size)


@isolate_rng()
def find_judge(config: Config, data: ImageData) -> Judge:
    """The judge of the split, trained first if the cache has none; arms, GANs and parallel runs share it.

    Leaves the global random state as it was. Raises ConfigError where the cache can't be written, or what lies there
    can't be read.
    """
    path = config.data.cache_dir / "judges" / f"{data.split.hash}-{_fingerprint(config, data)}.pt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                _save(train_judge(config, data), path)
    except OSError as error:
        raise ConfigError(f"data.cache_dir={config.data.cache_dir}: can't be written: {error}") from error
    return _load(config, data, path)


@isolate_rng()
def train_judge(config: Config, data: ImageData, generated: GeneratedImages | None = None) -> Judge:
    """Train on all classes of the training part, oversampled to even classes; on nothing else.

    With `generated`, the classes that it has are learnt from these images alone, the others from real ones, in as many
    steps. Leaves the global random state as it was.
    """
    settings = config.judge
    trainer_config = config.trainer.model_copy(update={"devices": 1, "num_nodes": 1, "strategy": "auto"})
    what = "judge" if generated is None else "classifier of generated images"
    with tempfile.TemporaryDirectory() as folder:
        lightning.seed_everything(SEED, workers=True, verbose=False)
        images = _images(config, data, generated)
        model = build_classifier(config.model_copy(update={"classifier": settings}), data, Plan(np.arange(0)))
        average = [] if settings.ema is None else [WeightAverage(settings.ema)]
        trainer = trainer_config.build(what, settings.epochs, Path(folder), [*average], validate=True)
        log.info("%s: %d images, %d epochs", what, len(images.train_set), trainer.max_epochs or 0)
        trainer.fit(model, datamodule=images)
    judge = _judge(config, data, model.network, {})
    measured = measure(judge, images, data)
    log.info("%s: balanced accuracy %.1f%% on validation", what, 100 * measured["balanced_accuracy"])
    return _judge(config, data, model.network, measured)


def measure(judge: Judge, images: ImageDataModule, data: ImageData) -> dict[str, Any]:
    """REPORTED metrics on the real images of the validation part."""
    part = images.part("valid")
    places = torch.arange(len(part)).split(1024)
    logits = torch.cat([judge.logits(part[chunk.tolist()][0]) for chunk in places])
    found = classification_metrics(logits, part.labels, data.classes)
    return {name: found[name] for name in REPORTED}


def _images(config: Config, data: ImageData, generated: GeneratedImages | None) -> ImageDataModule:
    """The training part, classes evened by repeats; of the classes that `generated` has, its images alone."""
    labels = data.split.labels("train")
    kept = np.arange(len(labels))
    if generated is not None:
        kept = np.flatnonzero(~np.isin(labels, generated.labels))
        labels = np.concatenate([labels[kept], generated.labels])
    places = repeat("auto", labels, SEED)
    real = places < len(kept)
    images = ImageDataModule(
        data,
        image_size=config.judge.image_size,
        batch_size=config.judge.batch_size,
        seed=SEED,
        train_indices=kept[places[real]],
        steps_per_epoch=steps_per_epoch(data, config.judge.batch_size),
        augment=AUGMENT,
    )
    if generated is not None:
        images.inject(generated.take(places[~real] - len(kept)))
    return images


def _judge(config: Config, data: ImageData, network: nn.Module, measured: dict[str, Any]) -> Judge:
    cuda = config.trainer.accelerator != "cpu" and torch.cuda.is_available()
    network = network.to("cuda" if cuda else "cpu").eval()
    return Judge(
        network=network,
        classes=data.classes,
        channels=config.data.channels,
        image_size=config.judge.image_size,
        mirror_test=config.judge.mirror_test,
        measured=measured,
    )


def _fingerprint(config: Config, data: ImageData) -> str:
    """Of all that the judge of a split depends on; the cache's name says which pixels, and how they were read."""
    trainer = config.trainer
    facts = {
        "judge": config.judge.model_dump(exclude={"checkpoint_every"}),
        "pixels": [data.cache.folder.name, config.data.channels, config.data.bottleneck],
        "trainer": [trainer.max_epochs, trainer.limit_batches, trainer.precision],
    }
    return hashlib.sha256(f"{VERSION} {json.dumps(facts, sort_keys=True)}".encode()).hexdigest()[:16]


def _save(judge: Judge, path: Path) -> None:
    save_whole({"network": judge.network.state_dict(), "measured": judge.measured}, path)


def _load(config: Config, data: ImageData, path: Path) -> Judge:
    network = config.judge.build_network(len(data.classes), config.data.channels)
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        network.load_state_dict(saved["network"])
    except Exception as error:  # torch.load raises anything on foreign bytes
        said = str(error).split(". ")[0]  # torch goes on about trust
        raise ConfigError(f"the judge {path} can't be read: {said}; remove it, and it is trained anew") from None
    return _judge(config, data, network.to(memory_format=torch.channels_last), saved["measured"])
