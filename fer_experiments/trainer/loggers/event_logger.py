"""Lightning's logger for TensorBoard, without its hparams.yaml."""

from lightning.pytorch.loggers import TensorBoardLogger


class EventLogger(TensorBoardLogger):
    """Write TensorBoard's event files alone: the settings stand in config.yaml."""

    def save(self) -> None:
        self.experiment.flush()
