"""What TensorBoard shows of a training beside its curves."""

from typing import Any

from torch import Tensor

from fer_experiments.evaluation.result import Result
from fer_experiments.report.figures import confusion_matrix

CHARTS = {  # of the page "Custom Scalars": what belongs together in one chart, tags as regular expressions
    "GAN": {
        "losses": ["Multiline", ["gan/loss_discriminator", "gan/loss_generator"]],
        "the discriminator's scores": ["Multiline", ["gan/score_real", "gan/score_generated"]],
        "distance from validation images": ["Multiline", ["gan/kid.*"]],
    },
    "classifier": {
        "loss": ["Multiline", ["train/loss", "valid/loss"]],
        "accuracy": ["Multiline", ["train/accuracy", "valid/accuracy", "valid/balanced_accuracy"]],
        "learning rate": ["Multiline", ["train/learning_rate"]],
    },
}


def write_charts(logger: Any) -> None:
    """At the start of a training, so that a first one has them while it runs."""
    logger.experiment.add_custom_scalars(CHARTS)


def write_test_results(logger: Any, result: Result, logits: Tensor, labels: Tensor) -> None:
    """Confusion matrix and precision-recall curves of a classifier on the test part."""
    writer, step = logger.experiment, result.selected_epoch
    writer.add_figure(
        "test/confusion_matrix", confusion_matrix(result.metrics["test"]["confusion"], result.classes), step
    )
    for place, name in enumerate(result.classes):
        writer.add_pr_curve(f"test/{name}", labels == place, logits.softmax(1)[:, place], step)


def write_hyperparameters(logger: Any, result: Result, settings: dict[str, Any], metrics: dict[str, float]) -> None:
    """The training's line in the HParams table: its settings that are numbers, words or switches, and `metrics`."""
    parameters = {
        "job": result.job,
        "arm": result.arm,
        "seed": result.seed,
        "real": sum(result.real.values()),
        **({"generated": sum(result.generated.values())} if result.job == "cnn" else {}),
        **{key: value for key, value in settings.items() if isinstance(value, int | float | str)},
    }
    logger.log_hyperparams(parameters, {f"hparams/{name}": value for name, value in metrics.items()})
    logger.save()
    logger.experiment.flush()
