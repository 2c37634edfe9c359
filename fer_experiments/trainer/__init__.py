"""Lightning's Trainer as conf/trainer configures it: checkpoints, callbacks, loggers."""

from fer_experiments.trainer.config import TrainerConfig

__all__ = ["TrainerConfig"]
