"""What TensorBoard shows of a training beside its curves."""

import json
from typing import Any

from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import Tensor
from torch.utils.tensorboard.summary import hparams

from fer_experiments.evaluation.result import Result
from fer_experiments.report.figures import confusion_matrix
from fer_experiments.spec import Spec

EVENTS = "events.out.tfevents.*"  # its files; a folder that has one is a run

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

FIRST = ("arm", "generated", "real", "seed")  # columns of the HParams table that are shown before any is chosen
COMPARED = (  # columns of the HParams table: of a classifier on test, of a GAN at its end
    "test_balanced_accuracy",
    "test_accuracy",
    "test_loss",
    "kid",
    "loss_discriminator",
    "loss_generator",
    "score_real",
    "score_generated",
)


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


def write_hyperparameters(logger: Any, result: Result, groups: dict[str, Spec], metrics: dict[str, float]) -> None:
    """The training's line in the HParams table: the settings of `groups`, {group: Spec}, and some of COMPARED.

    TensorBoard takes the columns of all lines from whichever run it finds first, so they are the same for every job.
    """
    parameters = {
        "job": result.job,
        "arm": result.arm,
        "seed": result.seed,
        "real": sum(result.real.values()),
        "generated": sum(result.generated.values()),
        **{
            f"{group}.{key}": _as_typed(value)
            for group, settings in groups.items()
            for key, value in settings.model_dump().items()
            if value is None or isinstance(value, int | float | str)
        },
    }
    found = {f"hparams/{name}": value for name, value in metrics.items()}
    assert set(metrics) <= set(COMPARED), metrics
    columns, _, _ = hparams(parameters, {f"hparams/{name}": 0.0 for name in COMPARED})
    plugin = columns.value[0].metadata.plugin_data
    data = HParamsPluginData.FromString(plugin.content)
    for column in data.experiment.hparam_infos:
        column.differs = column.name in FIRST  # the page sorts by this, then by name, and shows five
    plugin.content = data.SerializeToString()
    _, start, end = hparams(parameters, found)
    logger.log_metrics(found)
    writer = logger.experiment._get_file_writer()  # as Lightning itself does; add_hparams would make a run of its own
    for summary in (columns, start, end):
        writer.add_summary(summary)
    logger.experiment.flush()


def _as_typed(value: int | float | str | bool | None) -> int | float | str:
    """true, false and null as in the YAML files: torch would write 1, 0 and nothing."""
    return json.dumps(value) if value is None or isinstance(value, bool) else value
