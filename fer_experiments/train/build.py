"""The classifier that a configuration and a plan ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fer_experiments.balance import Plan
from fer_experiments.classifier.cosine import with_cosine_head
from fer_experiments.classifier.module import Classifier
from fer_experiments.data.module import ImageData

if TYPE_CHECKING:
    from fer_experiments.train.config import Config


def build_classifier(config: Config, data: ImageData, plan: Plan) -> Classifier:
    settings = config.classifier
    network = settings.build_network(len(data.classes), config.data.channels)
    if plan.cosine_head is not None:
        network = with_cosine_head(network, len(data.classes), plan.cosine_head)
    return Classifier(
        network,
        classes=list(data.classes),
        optimizer=settings.optimizer,
        learning_rate=settings.learning_rate,
        schedule=settings.schedule,
        mirror_test=settings.mirror_test,
        objective=plan.objective,
        mixing=plan.mixing or settings.mixing(),
        label_smoothing=settings.label_smoothing,
        provenance=provenance(config, data, settings.network, settings.image_size, plan.cosine_head),
    )


def provenance(
    config: Config, data: ImageData, network: Mapping[str, Any], image_size: int, cosine_head: float | None = None
) -> dict[str, Any]:
    """What TrainedClassifier needs to know of a training, beside the weights; network: with its `_target_`."""
    return {
        "split_hash": data.split.hash,
        "seed": config.seed,
        "stored_channels": config.data.stored_channels,
        "channels": config.data.channels,
        "image_size": image_size,
        "cached_size": data.cache.images.shape[1],
        "bottleneck": config.data.bottleneck,
        "network": dict(network),
        "cosine_head": cosine_head,
    }


def steps_per_epoch(data: ImageData, batch_size: int) -> int:
    """Batches that the real training images fill: as many for every arm, whatever it is trained on."""
    return -(-len(data.split.rows("train")) // batch_size)
