"""What TensorBoard shows of a finished classifier beside its curves."""

from typing import Any

from torch import Tensor

from fer_experiments.evaluation.result import Result
from fer_experiments.report.figures import confusion_matrix


def write_test_results(logger: Any, result: Result, logits: Tensor, labels: Tensor) -> None:
    """Confusion matrix and precision-recall curves of the test part, and the line of the hparams table."""
    test = result.metrics["test"]
    writer, step = logger.experiment, result.selected_epoch
    writer.add_figure("test/confusion_matrix", confusion_matrix(test["confusion"], result.classes), step)
    for place, name in enumerate(result.classes):
        writer.add_pr_curve(f"test/{name}", labels == place, logits.softmax(1)[:, place], step)
    parameters = {
        "arm": result.arm,
        "seed": result.seed,
        "generated": sum(result.generated.values()),
        "real": sum(result.real.values()),
    }
    shown = {f"hparams/test_{name}": test[name] for name in ("accuracy", "balanced_accuracy", "loss")}
    logger.log_hyperparams(parameters, shown)
    logger.save()
    writer.flush()
