"""The classifier that a configuration and a plan ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fer_experiments.balance import Plan
from fer_experiments.classifier.cosine import with_cosine_head
from fer_experiments.classifier.module import Classifier
from fer_experiments.data.module import ImageData

if TYPE_CHECKING:
    from fer_experiments.train.config import Config


def build_classifier(config: Config, data: ImageData, plan: Plan) -> Classifier:
    settings = config.classifier
    channels = config.data.channels
    network = settings.build_network(len(data.classes), channels)
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
        provenance={
            "split_hash": data.split.hash,
            "seed": config.seed,
            "stored_channels": config.data.stored_channels,
            "channels": channels,
            "image_size": settings.image_size,
            "cached_size": data.cache.images.shape[1],
            "bottleneck": config.data.bottleneck,
            "network": settings.network,
            "cosine_head": plan.cosine_head,
        },
    )
