"""What a training leaves in its loggers beside the curves of its metrics: its settings, and its outcome."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from fer_experiments.evaluation.confusion_figure import draw_confusion_matrix, to_pixels
from fer_experiments.evaluation.result import Result
from fer_experiments.strict_config import StrictConfig
from fer_experiments.trainer.loggers.pictures import log_picture
from fer_experiments.trainer.loggers.tensorboard import write_curves, write_hyperparameters


@rank_zero_only
def log_settings(loggers: Iterable[Logger], settings: Mapping[str, Any]) -> None:
    """Log the settings of a training, nested as in conf/, before it begins.

    TensorBoard gets them with the outcome, in the form of its table.
    """
    for logger in loggers:
        if not isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(json.loads(json.dumps(settings, default=str)))


@rank_zero_only
def log_test_results(
    loggers: Sequence[Logger],
    classes: Sequence[str],
    metrics: Mapping[str, Any],
    logits: Tensor,
    labels: Tensor,
    epoch: int | None,
) -> None:
    """Log the confusion matrix of a classifier on the test part and, for TensorBoard, its precision-recall curves.

    Args:
        loggers: of the training.
        classes: the names of the K classes.
        metrics: classification_metrics on test.
        logits: (N, K) of the test images.
        labels: their classes (N,).
        epoch: of the classifier.
    """
    figure = draw_confusion_matrix(metrics["confusion"], classes)
    log_picture(loggers, "test/confusion_matrix", to_pixels(figure), epoch or 0)
    write_curves(loggers, classes, logits, labels, epoch)


@rank_zero_only
def log_outcome(
    loggers: Iterable[Logger], result: Result, groups: Mapping[str, StrictConfig], metrics: Mapping[str, float]
) -> None:
    """Log the numbers of images and the final metrics, for TensorBoard as the training's line in the HParams table.

    Args:
        loggers: of the training.
        result: the finished training.
        groups: {group: settings whose keys become columns of the table}.
        metrics: {name: value}, the names among HPARAM_METRICS; those on test are called test_NAME.
    """
    on_test = {name.replace("test_", "test/", 1): value for name, value in metrics.items() if name.startswith("test_")}
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            write_hyperparameters(logger, result, groups, metrics)
        else:
            counts = {"real": sum(result.real.values()), "generated": sum(result.generated.values())}
            logger.log_hyperparams(counts)
            if on_test:
                logger.log_metrics(on_test, step=result.optimizer_steps)
            logger.save()
