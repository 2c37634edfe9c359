"""The measurement of a trained classifier on other images than those of its training."""

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import lightning
from torch import Tensor
from torch.utils.data import DataLoader

from fer_experiments.atomic_write import atomic_write
from fer_experiments.classifier.predictor import Predictor
from fer_experiments.classifier.trained import PACKAGE_NETWORKS, TrainedClassifier
from fer_experiments.data.cache import open_cache
from fer_experiments.data.dataset import EVALUATION_BATCH, ImageDataset
from fer_experiments.data.evaluation_split import split_for_evaluation
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.samplers import SequentialBatches
from fer_experiments.data.sources import DataSource
from fer_experiments.data.sources.base import PARTS
from fer_experiments.data.split import DROPPED_GROUPS
from fer_experiments.distributed import on_rank_zero
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.confusion_figure import draw_confusion_matrix
from fer_experiments.evaluation.evaluation_result import (
    EvaluationResult,
    InternalTest,
    compute_intervals,
    compute_recall_intervals,
)
from fer_experiments.evaluation.metrics import classification_metrics
from fer_experiments.evaluation.predictions import Predictions, save_predictions
from fer_experiments.progress import show_activity
from fer_experiments.report.evaluation_page import describe_evaluation, write_evaluation_page
from fer_experiments.runs.data_files import write_data_files
from fer_experiments.runs.training_files import find_groups, find_parts, find_result, read_test_clusters
from fer_experiments.train.arms.train_classifier import join_batches, with_content_hashes
from fer_experiments.train.open_trainer import Training, open_trainer
from fer_experiments.train.settings import Settings
from fer_experiments.trainer.callbacks.checkpoints import find_checkpoint
from fer_experiments.trainer.device_name import describe_device
from fer_experiments.trainer.loggers.summary import log_test_results
from fer_experiments.trainer.sigterm import ending_by_sigterm

log = logging.getLogger(__name__)
CONFUSION_FILE = "confusion_matrix.png"
LOGGED_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "loss")


def run_evaluation(settings: Settings, level: float, folder: Path) -> None:
    """Measure the classifier of `checkpoint` on the images of `data` that its training did not use.

    level: of the intervals.
    """
    started = time.monotonic()
    assert settings.checkpoint is not None
    checkpoint, trained = load_classifier(settings, settings.checkpoint)
    parts, groups = find_parts(checkpoint, trained.split_hash), find_groups(checkpoint, trained.split_hash)
    if groups and settings.data.group_key is None:
        log.warning(
            "the classifier's training kept groups apart, and this command names none: other images of groups that it "
            "was trained on count as test images; give data.group_pattern or data.group_column as the training had it"
        )
    data = prepare_images(settings.data, trained, parts or {}, groups)
    overlap = None if parts is None else count_overlap(data, parts)
    _log_overlap(overlap, data.split.report[DROPPED_GROUPS]["test"], checkpoint)
    write_data_files(folder, data, generated={})
    with open_trainer(settings, Training("evaluation", "evaluation", ("test/",), 1, folder)) as trainer:
        logits, labels = predict(trainer, trained, data)
        metrics = classification_metrics(logits, labels, data.classes)
        log_test_results(trainer.loggers, data.classes, metrics, logits, labels, trained.epoch)
        for logger in trainer.loggers:
            logger.log_metrics({f"test/{name}": metrics[name] for name in LOGGED_METRICS})
    predictions = with_content_hashes(data, {"test": (logits, labels)})
    test = predictions["test"]
    clusters = read_test_clusters(folder, test.content_hash)
    result = EvaluationResult(
        checkpoint=str(checkpoint.resolve()),
        checkpoint_sha256=hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        data=_describe_source(settings),
        classes=list(data.classes),
        metrics={"test": metrics},
        level=level,
        intervals=compute_intervals(test.predicted, test.labels, level, clusters),
        recall_intervals=compute_recall_intervals(test.predicted, test.labels, data.classes, level, clusters),
        overlap=overlap,
        split_hash=data.split.hash,
        training_split_hash=trained.split_hash,
        internal_test=_measure_internal_test(checkpoint, trained, metrics),
        seconds=time.monotonic() - started,
        **describe_device(settings.trainer, trainer),
    )
    _write_files(folder, result, predictions)
    log.info("%s", describe_evaluation(result))


class PredictionModule(lightning.LightningModule):
    """A trained classifier as Lightning's Trainer takes it: batches of uint8 images and labels -> logits and labels."""

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.predictor, self.network = predictor, predictor.network

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> tuple[Tensor, Tensor]:
        images, labels = batch
        return self.predictor.predict_batch(self.predictor.scale(images)), labels


def load_classifier(settings: Settings, path: Path) -> tuple[Path, TrainedClassifier]:
    """Load a checkpoint, or that of a training's folder, and return it with its path.

    A network that is not of this package must be that of the configured classifier.
    """
    network = settings.classifier.network["_target_"]
    network = None if network in PACKAGE_NETWORKS else network
    try:
        checkpoint = find_checkpoint(path)
        return checkpoint, TrainedClassifier.load(checkpoint, network, "classifier.network._target_=")
    except ConfigError as error:
        raise ConfigError(f"checkpoint={error}") from None


def prepare_images(
    source: DataSource, trained: TrainedClassifier, parts: dict[str, str], groups: Collection[str] = ()
) -> PreparedData:
    """Return the images as the classifier's training read them; the test part of their split is to be measured.

    parts, groups: {content hash: part} and the groups of the images of the classifier's training.
    """
    source = source.model_copy(
        update={
            "channels": trained.channels,
            "grayscale": trained.stored_channels == 1,
            "white_level": trained.white_level or source.white_level,
            "image_size": trained.cached_size,
            "bottleneck": trained.bottleneck,
        }
    )
    cache = open_cache(source)
    return PreparedData(source, cache, split_for_evaluation(cache.index, source, trained.classes, parts, groups))


def count_overlap(data: PreparedData, parts: dict[str, str]) -> dict[str, int]:
    """Return {part: images of the data} that were in this part of the classifier's training."""
    counts = Counter(parts.get(content_hash) for content_hash in data.split.table["content_hash"])
    return {part: counts[part] for part in PARTS}


def predict(trainer: lightning.Trainer, trained: TrainedClassifier, data: PreparedData) -> tuple[Tensor, Tensor]:
    """Return the logits (N, K) of the test part, and its labels (N,)."""
    labels = data.class_indices(data.split.labels("test"))
    images = ImageDataset(
        data.cache.images, data.split.rows("test"), labels, trained.image_size, data.source.bottleneck
    )
    batches = SequentialBatches(len(images), EVALUATION_BATCH)
    loader = DataLoader(images, sampler=batches, batch_size=None, num_workers=data.source.workers)
    log.info("classifying %d images of %s", len(images), ", ".join(sorted(set(data.split.labels("test")))))
    with show_activity("classifying"), ending_by_sigterm(trainer):
        outputs: Any = trainer.predict(PredictionModule(trained), dataloaders=loader)
    return join_batches(outputs)


def _measure_internal_test(checkpoint: Path, trained: TrainedClassifier, metrics: dict) -> InternalTest | None:
    """Return what the classifier reached on its own test part over the classes of `metrics`, if that is known."""
    result = find_result(checkpoint, trained.split_hash, trained.epoch)
    if result is None:
        return None
    present = [name for name, row in zip(trained.classes, metrics["confusion"], strict=True) if any(row)]
    return InternalTest.from_result(result, present)


def _log_overlap(overlap: dict[str, int] | None, of_groups: int, checkpoint: Path) -> None:
    if overlap is None:
        log.warning(
            "no split.csv of the training lies beside or above %s: whether the classifier was trained on some of these "
            "images can't be checked",
            checkpoint,
        )
    else:
        log.info(
            "left out: %d images that the classifier was trained on, %d by which it was chosen%s",
            overlap["train"],
            overlap["valid"],
            f", {of_groups} of the groups of these" if of_groups else "",
        )


def _describe_source(settings: Settings) -> str:
    """Return "data=folder data.root=PATH data.rename={anger: angry}"."""
    text = f"data={settings.context.choices.get('data', type(settings.data).__name__)}"
    for key in ("table", "root"):
        path = getattr(settings.data, key, None)
        text += "" if path is None else f" data.{key}={path}"
    rename = settings.data.rename
    pairs = ", ".join(f"{name}: {label}" for name, label in (rename or {}).items())
    return f"{text} data.rename={{{pairs}}}" if pairs else text


@on_rank_zero
def _write_files(folder: Path, result: EvaluationResult, predictions: dict[str, Predictions]) -> None:
    """Write predictions.npz, confusion_matrix.png, evaluation.json and report.html."""
    save_predictions(folder, predictions)
    with atomic_write(folder / CONFUSION_FILE) as temporary:
        draw_confusion_matrix(result.test["confusion"], result.classes).savefig(temporary, dpi=150)
    result.save(folder)
    write_evaluation_page(folder)
