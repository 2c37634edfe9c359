"""What TensorBoard shows of a training beside its curves."""

import json
from collections.abc import Iterable, Mapping, Sequence

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch import Tensor
from torch.utils.tensorboard.summary import hparams

from fer_experiments.evaluation.result import Result
from fer_experiments.strict_config import StrictConfig

CHARTS = {  # of the page "Custom Scalars": {category: {chart: its tags, as regular expressions}}
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
# Columns of the HParams table. It shows the first ones before the user chooses any.
FIRST_COLUMNS = ("arm", "generated", "real", "seed")
HPARAM_METRICS = (  # those of a classifier are on test, those of a GAN at its end
    "test_balanced_accuracy",
    "test_accuracy",
    "test_loss",
    "kid",
    "loss_discriminator",
    "loss_generator",
    "score_real",
    "score_generated",
    "diversity",
)


@rank_zero_only
def write_charts(loggers: Iterable[Logger]) -> None:
    """Write CHARTS. Call it at the start of a training, so that the page has the charts while the training runs."""
    for logger in filter_tensorboard(loggers):
        logger.experiment.add_custom_scalars(CHARTS)


@rank_zero_only
def write_curves(
    loggers: Iterable[Logger], classes: Sequence[str], logits: Tensor, labels: Tensor, epoch: int | None
) -> None:
    """Write the precision-recall curves of a classifier on the test part.

    Args:
        loggers: of the training.
        classes: the names of the K classes.
        logits: (N, K) of the test images.
        labels: their classes (N,).
        epoch: of the classifier.
    """
    for logger in filter_tensorboard(loggers):
        for place, name in enumerate(classes):
            logger.experiment.add_pr_curve(f"test/{name}", labels == place, logits.softmax(1)[:, place], epoch)


def filter_tensorboard(loggers: Iterable[Logger]) -> list[TensorBoardLogger]:
    """Return those of the loggers that write for TensorBoard."""
    return [logger for logger in loggers if isinstance(logger, TensorBoardLogger)]


def write_hyperparameters(
    logger: TensorBoardLogger, result: Result, groups: Mapping[str, StrictConfig], metrics: Mapping[str, float]
) -> None:
    """Write the training's line in the HParams table.

    TensorBoard takes the columns of all lines from whichever run it reads first, so every job writes the same columns.

    Args:
        logger: of the training.
        result: the finished training.
        groups: {group: settings whose keys become columns}.
        metrics: {name: value}, the names among HPARAM_METRICS.
    """
    parameters = _hyperparameters(result, groups)
    values = {f"hparams/{name}": value for name, value in metrics.items()}
    assert set(metrics) <= set(HPARAM_METRICS), metrics
    columns, _, _ = hparams(parameters, {f"hparams/{name}": 0.0 for name in HPARAM_METRICS})
    plugin = columns.value[0].metadata.plugin_data
    data = HParamsPluginData.FromString(plugin.content)
    for column in data.experiment.hparam_infos:
        column.differs = column.name in FIRST_COLUMNS  # the page sorts by this, then by name, and shows five
    plugin.content = data.SerializeToString()
    _, start, end = hparams(parameters, values)
    logger.log_metrics(values)
    writer = logger.experiment._get_file_writer()  # as Lightning does; add_hparams would write to a run of its own
    for summary in (columns, start, end):
        writer.add_summary(summary)
    logger.experiment.flush()


def _hyperparameters(result: Result, groups: Mapping[str, StrictConfig]) -> dict[str, int | float | str]:
    """Return {column: value} of a training."""
    return {
        "job": result.job.value,
        "arm": result.arm,
        "seed": result.seed,
        "real": sum(result.real.values()),
        "generated": sum(result.generated.values()),
        **{
            f"{group}.{key}": _format_as_yaml(value)
            for group, settings in groups.items()
            for key, value in settings.model_dump().items()
            if value is None or isinstance(value, int | float | str)
        },
    }


def _format_as_yaml(value: int | float | str | bool | None) -> int | float | str:
    """Return true, false and null as the YAML files have them; torch would write 1, 0 and nothing."""
    return json.dumps(value) if value is None or isinstance(value, bool) else value
