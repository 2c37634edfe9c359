"""Lightning's logger for TensorBoard, without its hparams.yaml."""

from collections.abc import Mapping

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only


class EventLogger(TensorBoardLogger):
    """Write TensorBoard's event files alone: the settings stand in config.yaml.

    The number of the epoch, which Lightning logs with every metric, is no curve that anyone looks at, and would be the
    first one on the page.
    """

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        super().log_metrics({name: value for name, value in metrics.items() if name != "epoch"}, step)

    def save(self) -> None:
        self.experiment.flush()
