"""Build the classifier that conf/classifier/ and a balancing strategy's plan describe."""

from collections.abc import Mapping
from typing import Any

from fer_experiments.balance import TrainingPlan
from fer_experiments.classifier.config import ClassifierConfig
from fer_experiments.classifier.cosine import attach_cosine_head
from fer_experiments.classifier.module import Classifier
from fer_experiments.data.prepared import PreparedData


def build_classifier(config: ClassifierConfig, data: PreparedData, plan: TrainingPlan, seed: int) -> Classifier:
    """Build an untrained classifier. seed: of the training; the checkpoint records it."""
    network = config.build_network(len(data.classes), data.source.channels)
    if plan.cosine_head is not None:
        network = attach_cosine_head(network, len(data.classes), plan.cosine_head)
    return Classifier(
        network,
        config,
        classes=list(data.classes),
        objective=plan.objective,
        mixing=plan.mixing or config.build_mixing(),
        provenance=build_provenance(data, config.network, config.image_size, seed, plan.cosine_head),
    )


def build_provenance(
    data: PreparedData, network: Mapping[str, Any], image_size: int, seed: int, cosine_head: float | None = None
) -> dict[str, Any]:
    """Return what a checkpoint records of a training for TrainedClassifier.

    Args:
        data: the images and their split.
        network: the network's `_target_` and its other keys.
        image_size: the side of the images that the network takes.
        seed: of the training.
        cosine_head: the scale of the cosines that replace the network's last layer; None: the layer stays.
    """
    return {
        "split_hash": data.split.hash,
        "seed": seed,
        "stored_channels": data.source.stored_channels,
        "white_level": data.cache.white_level,
        "channels": data.source.channels,
        "image_size": image_size,
        "cached_size": data.cache.images.shape[1],
        "bottleneck": data.source.bottleneck,
        "network": dict(network),
        "cosine_head": cosine_head,
    }
